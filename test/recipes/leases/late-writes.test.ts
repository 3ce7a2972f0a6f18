import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { ServiceRegister } from "../../../recipes/index.ts";
import {
  type DeleteOp,
  type EtcdClient,
  EtcdTimeoutError,
  type LeaseId,
  type PutOp,
  type TxnOptions,
} from "../../../src/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { breakLink } from "../../support/break-link.ts";
import { revisionOf, viewOf } from "../../support/etcd-view.ts";
import { leasesOf, requestsServed } from "../../support/gateway/index.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { seeded } from "../../support/seeded.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

async function onlyLease(): Promise<LeaseId> {
  const leases = await leasesOf(lab.endpoint);
  expect(leases).toHaveLength(1);
  return leases[0] as LeaseId;
}

/** Waits until etcd was asked so many times which keys are on a lease. */
async function looks(count: number): Promise<void> {
  const asked = async () => (await requestsServed(lab.endpoint)).LeaseTimeToLive ?? 0;
  const before = await asked();
  await until(async () => (await asked()) >= before + count, { timeoutMs: 20_000 });
}

function keyOf(op: PutOp | DeleteOp): string {
  return Buffer.from(op.type === "put" ? op.key : op.range.start).toString();
}

/** A client whose writes of one key can be held back: they time out, and land when the test sends them. */
function holdingBack(
  key: string,
  what: "put" | "delete" = "put",
): { client: EtcdClient; hold: () => void; held: TxnOptions[] } {
  const client = lab.client();
  const held: TxnOptions[] = [];
  let holding = false;
  const txn: EtcdClient["txn"] = async (request, options) => {
    const [op] = request.success ?? [];
    if (!holding || op?.type !== what || keyOf(op) !== key) return client.txn(request, options);
    held.push(request);
    throw new EtcdTimeoutError("no answer", { retryable: true, outcomeUnknown: true });
  };
  // The recipe knows an EtcdClient by its class.
  const stand = Object.create(client, {
    txn: { value: txn },
    get: { value: client.get.bind(client) },
    mirror: { value: client.mirror.bind(client) },
    grantLease: { value: client.grantLease.bind(client) },
  });
  return {
    client: stand,
    held,
    hold: () => {
      holding = true;
    },
  };
}

test("a put that timed out lands after its registration was closed, on the lease that others live on: it is deleted again", async () => {
  const prefix = lab.newPrefix();
  const { client, hold, held } = holdingBack(`${prefix}late`);
  const kept = lab.register(`${prefix}kept`, "10.0.0.1:80", 60, { client, lease: "shared" });
  const late = lab.register(`${prefix}late`, "10.0.0.2:80", 60, { client, lease: "shared" });
  await Promise.all([kept.ready, late.ready]);
  hold();
  await lab.etcd.delete(late.key);
  await until(() => held.length > 0);
  await late.close();
  expect(await viewOf(lab.etcd, prefix)).toEqual({ kept: "10.0.0.1:80" });
  expect(await lab.etcd.txn(held[0] as TxnOptions)).toMatchObject({ succeeded: true });
  await until(async () => (await lab.etcd.get(late.key)) === undefined);
  expect(kept.status).toBe("registered");
  expect(await lab.etcd.get(kept.key)).toMatchObject({ version: 1 });
});

test("a closed key that reappears under the shared lease is deleted again, as often as it comes, and nothing else is", async () => {
  const prefix = lab.newPrefix();
  const registers = ["kept", "closed"].map((id) => lab.register(prefix + id, "10.0.0.1:80", 60, { lease: "shared" }));
  await Promise.all(registers.map(({ ready }) => ready));
  const lease = await onlyLease();
  await registers[1]?.close();
  for (let round = 0; round < 3; round++) {
    await lab.etcd.put(`${prefix}closed`, "10.0.0.1:80", { lease });
    await until(async () => (await lab.etcd.get(`${prefix}closed`)) === undefined, { timeoutMs: 20_000 });
  }
  // A foreign one, without a lease, stays.
  await lab.etcd.put(`${prefix}closed`, "theirs");
  const [another] = [lab.register(`${prefix}another`, "10.0.0.1:80", 60, { lease: "shared" })];
  await another?.ready;
  await another?.close();
  await lab.etcd.put(`${prefix}another`, "10.0.0.1:80", { lease });
  await until(async () => (await lab.etcd.get(`${prefix}another`)) === undefined, { timeoutMs: 20_000 });
  expect(await viewOf(lab.etcd, prefix)).toEqual({ closed: "theirs", kept: "10.0.0.1:80" });
});

test("a late put under a key that is registered again belongs to the new one: it is replaced, never deleted", async () => {
  const prefix = lab.newPrefix();
  const { client, hold, held } = holdingBack(`${prefix}late`);
  const kept = lab.register(`${prefix}kept`, "10.0.0.1:80", 60, { client, lease: "shared" });
  const late = lab.register(`${prefix}late`, "10.0.0.2:80", 60, { client, lease: "shared" });
  await Promise.all([kept.ready, late.ready]);
  hold();
  await lab.etcd.delete(late.key);
  await until(() => held.length > 0);
  const again = lab.register.bind(lab, late.key, "10.0.0.3:80", 60);
  await late.close();
  await lab.etcd.txn(held[0] as TxnOptions);
  // Its puts are held back too: so the late one stands there, and no process may delete it while the key has an owner.
  const next = again({ client, lease: "shared", onConflict: "error" });
  await until(() => held.length > 2);
  await looks(2);
  expect((await lab.etcd.get(late.key))?.text).toBe("10.0.0.2:80");
  // Whichever of its puts lands first is the new value; the others find the key changed.
  for (const request of held.slice(1)) await lab.etcd.txn(request);
  await next.ready;
  expect(await viewOf(lab.etcd, prefix)).toEqual({ kept: "10.0.0.1:80", late: "10.0.0.3:80" });
});

test("a late deletion under a key that is registered again, with the same value, deletes nothing", async () => {
  const prefix = lab.newPrefix();
  const { client, hold, held } = holdingBack(`${prefix}late`, "delete");
  const register = (id: string) => lab.register(prefix + id, "10.0.0.1:80", 2, { client, lease: "shared" });
  const [kept, late] = [register("kept"), register("late")];
  await Promise.all([kept.ready, late.ready]);
  hold();
  await late.close();
  const next = register("late");
  await next.ready;
  expect(held.length).toBeGreaterThan(0);
  for (const request of held) expect(await lab.etcd.txn(request)).toMatchObject({ succeeded: false });
  expect(await viewOf(lab.etcd, prefix)).toEqual({ kept: "10.0.0.1:80", late: "10.0.0.1:80" });
  expect(next.status).toBe("registered");
});

test("closed while etcd is out of reach, its key is deleted when it is back, for the lease lives on with the others", async () => {
  const prefix = lab.newPrefix();
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const client = lab.client({ endpoints: proxy.endpoint, requestTimeoutMs: 1_000 });
  const registers = Array.from({ length: 6 }, (_, index) =>
    lab.register(`${prefix}m${index}`, `10.0.0.${index}:80`, 60, { client, lease: "shared" }),
  );
  await Promise.all(registers.map(({ ready }) => ready));
  proxy.blackHole();
  const began = performance.now();
  await Promise.all(registers.slice(0, 3).map((register) => register.close()));
  expect(performance.now() - began).toBeLessThan(5_000 + 1_000);
  expect(Object.keys(await viewOf(lab.etcd, prefix))).toHaveLength(6);
  await proxy.heal();
  await until(async () => Object.keys(await viewOf(lab.etcd, prefix)).join() === "m3,m4,m5", { timeoutMs: 30_000 });
  expect(registers.slice(3).every(({ status }) => status === "registered")).toBe(true);
});

test("watching for late puts costs one request now and then, however many were closed", async () => {
  const prefix = lab.newPrefix();
  const client = lab.client();
  const registers = Array.from({ length: 60 }, (_, index) =>
    lab.register(`${prefix}m${index}`, `10.0.0.${index}:80`, 60, { client, lease: "shared" }),
  );
  await Promise.all(registers.map(({ ready }) => ready));
  await Promise.all(registers.slice(1).map((register) => register.close()));
  const start = await revisionOf(lab.etcd);
  let txns = Number.POSITIVE_INFINITY;
  // The time of a look at the one that stays may come just now, which is seldom: not twice in a row.
  for (let time = 0; time < 2 && txns > 0; time++) {
    const before = await requestsServed(lab.endpoint);
    await looks(2);
    const after = await requestsServed(lab.endpoint);
    expect((after.Range ?? 0) - (before.Range ?? 0)).toBeLessThan(5);
    txns = (after.Txn ?? 0) - (before.Txn ?? 0);
  }
  expect(txns).toBe(0);
  expect(await revisionOf(lab.etcd)).toBe(start);
});

test("updates, closes and bad links in any order on one lease: at the end exactly what is open, with its newest value", async () => {
  const random = seeded("shared late writes");
  const prefix = lab.newPrefix();
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const client = lab.client({ endpoints: proxy.endpoint, requestTimeoutMs: 400 });
  const open = new Map<string, { register: ServiceRegister; address: string }>();
  const closing: Promise<void>[] = [];
  const steps: string[] = [];
  for (let step = 0; step < 150; step++) {
    const what = random.between(0, 9);
    const id = open.size > 0 ? random.pick([...open.keys()]) : undefined;
    const entry = id === undefined ? undefined : open.get(id);
    const address = `10.0.1.${step}:80`;
    if (what <= 2 || id === undefined || entry === undefined) {
      // The same ids come again, also while the one before still closes.
      const fresh = `m${random.between(0, 25)}`;
      if (open.has(fresh)) continue;
      const register = lab.register(prefix + fresh, address, 2, { client, lease: "shared" });
      open.set(fresh, { register, address });
      steps.push(`${fresh} made`);
    } else if (what <= 4) {
      entry.address = address;
      void entry.register.update({ address }).catch(() => {});
      steps.push(`${id} updated`);
    } else if (what === 5) {
      closing.push(entry.register.close());
      open.delete(id);
      steps.push(`${id} closed`);
    } else if (what === 6) {
      steps.push(breakLink(proxy, random));
    } else if (what === 7) {
      await proxy.heal();
      steps.push("heal");
    } else if (what === 8) {
      await lab.etcd.delete(prefix + id);
      steps.push(`${id} deleted`);
    } else {
      // Time passes as it passes for the program: until something answers or gives up.
      await client.get("time").catch(() => {});
    }
  }
  await proxy.heal();
  await Promise.all(closing);
  const message = () => `seed ${random.seed}: ${steps.join(", ")}`;
  const wanted = Object.fromEntries([...open].map(([id, { address }]) => [id, address]));
  await until(
    async () => {
      expect(await viewOf(lab.etcd, prefix)).toEqual(wanted);
      expect(await leasesOf(lab.endpoint)).toHaveLength(1);
      return [...open.values()].every(({ register }) => register.status === "registered");
    },
    { timeoutMs: 30_000, message },
  );
});
