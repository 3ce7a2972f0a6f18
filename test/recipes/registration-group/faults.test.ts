import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { RegistrationGroup } from "../../../recipes/registration-group/index.ts";
import {
  type EtcdClient,
  EtcdTimeoutError,
  PermissionDeniedError,
  type TxnOp,
  type TxnOptions,
} from "../../../src/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { breakLink } from "../../support/break-link.ts";
import { historyOf, revisionOf, viewOf } from "../../support/etcd-view.ts";
import { leasesOf } from "../../support/gateway/index.ts";
import { Recorder } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { seeded } from "../../support/seeded.ts";
import { until } from "../../support/until.ts";
import { addressOf, groupEvents, groupOf, memberEvents, registerMany, untilThere, viewFor } from "./group-lab.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

async function proxied(): Promise<FaultProxy> {
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  return proxy;
}

/** A client whose txns go through `hook` first. */
function hooked(hook: (request: TxnOptions) => Promise<void> | void): EtcdClient {
  const client = lab.client();
  return Object.create(client, {
    // A private field needs the object that has it.
    mirror: { value: client.mirror.bind(client) },
    grantLease: { value: client.grantLease.bind(client) },
    txn: {
      value: async (request: TxnOptions, options: object) => {
        await hook(request);
        return client.txn(request, options);
      },
    },
  });
}

/** The keys that a txn of nested ones would put. */
function putsOf({ success = [] }: TxnOptions): string[] {
  return success.flatMap((op) =>
    (op as TxnOp).type === "txn"
      ? (op as TxnOp).success.flatMap((inner) => (inner.type === "put" ? [Buffer.from(inner.key).toString()] : []))
      : [],
  );
}

test("large values are spread over requests that etcd can take: none is refused, and halved", async () => {
  const prefix = lab.newPrefix();
  const sizes: number[] = [];
  const client = hooked(({ success = [] }) => {
    const puts = success.flatMap((op) => (op as TxnOp).success).filter((op) => op.type === "put");
    sizes.push(puts.reduce((sum, { value }) => sum + value.length, 0));
  });
  const group = groupOf(lab, prefix, 5, { client });
  const text = "x".repeat(100_000);
  for (let index = 0; index < 60; index++) group.register(`m${index}`, "10.0.0.1:80", { metadata: { text } });
  await group.ready;
  expect(Math.max(...sizes)).toBeLessThan(1_000_000);
  expect(sizes).toHaveLength(7);
});

test("one instance whose value is too large fails alone", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, 5, { client: lab.client() });
  const recorder = new Recorder(group, groupEvents);
  const members = registerMany(group, 200);
  const large = group.register("large", "10.0.0.1:80", { metadata: { text: "x".repeat(3_000_000) } });
  const more = registerMany(group, 100, 200);
  await expect(large.ready).rejects.toMatchObject({ code: "ETCD_REQUEST_REFUSED" });
  await Promise.all([...members, ...more].map(({ ready }) => ready));
  await untilThere(lab, group, viewFor([...members, ...more]));
  expect(large.status).toBe("failed");
  expect(recorder.of("memberFailed")).toEqual([large]);
  expect(recorder.names).not.toContain("failed");
});

test("an update to a value that is too large changes nothing, for that instance and the others", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, 5, { client: lab.client() });
  const member = group.register("m0", "10.0.0.1:80", { metadata: {} });
  group.register("m1", addressOf(1));
  await group.ready;
  const update = member.update({ metadata: { text: "x".repeat(3_000_000) } });
  await expect(update).rejects.toMatchObject({ code: "ETCD_REQUEST_REFUSED" });
  expect(member.status).toBe("registered");
  const m0 = JSON.stringify({ Op: 0, Addr: "10.0.0.1:80", Metadata: {} });
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m0, m1: addressOf(1) });
});

test("one key that is not permitted fails alone, found by halving", async () => {
  const prefix = lab.newPrefix();
  let asked = 0;
  const client = hooked((request) => {
    asked++;
    if (putsOf(request).includes(`${prefix}m77`)) throw new PermissionDeniedError("permission denied");
  });
  const group = groupOf(lab, prefix, 5, { client });
  const members = registerMany(group, 120);
  await expect(group.ready).rejects.toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
  const others = members.filter(({ id }) => id !== "m77");
  await Promise.all(others.map(({ ready }) => ready));
  await untilThere(lab, group, viewFor(others));
  expect(asked).toBeLessThan(20);
});

test("closed instances never come back, although a put of theirs had timed out and lands after they are gone", async () => {
  const prefix = lab.newPrefix();
  const held: TxnOptions[] = [];
  let holding = false;
  const client = hooked((request) => {
    if (!holding || putsOf(request).length === 0) return;
    held.push(request);
    throw new EtcdTimeoutError("no answer", { retryable: true, outcomeUnknown: true });
  });
  const group = groupOf(lab, prefix, 60, { client });
  const members = registerMany(group, 100);
  await group.ready;
  holding = true;
  // Those that are put back are guarded by a missing key: such a put can still land after the key was deleted.
  const guardedByMissing = members.slice(0, 25);
  for (const { key } of guardedByMissing) await lab.etcd.delete(key);
  await until(() => guardedByMissing.every(({ status }) => status === "recovering"));
  for (const member of members.slice(0, 50)) void member.update({ address: "10.5.5.5:80" }).catch(() => {});
  await until(() => new Set(held.flatMap(putsOf)).size === 50);
  await Promise.all(members.slice(0, 50).map((member) => member.close()));
  holding = false;
  const wanted = viewFor(members.slice(50));
  expect(await viewOf(lab.etcd, prefix)).toEqual(wanted);
  const landedAt = await revisionOf(lab.etcd);
  for (const request of held) await lab.etcd.txn(request);
  // At once, not only when etcd is asked now and then which keys are on the lease.
  await untilThere(lab, group, wanted, 10_000);
  const landed = (await historyOf(lab.etcd, prefix, landedAt + 1)).filter(({ type }) => type === "put");
  // Some of them more than once: each put that was held back found the key missing again.
  expect([...new Set(landed.map(({ kv }) => kv.key))].sort()).toEqual(guardedByMissing.map(({ key }) => key).sort());
  expect(await leasesOf(lab.endpoint)).toHaveLength(1);
});

test("closed while etcd is out of reach they are deleted once it is back, while the others live on", async () => {
  const prefix = lab.newPrefix();
  const proxy = await proxied();
  const client = lab.client({ endpoints: proxy.endpoint, requestTimeoutMs: 1_000 });
  // The lease outlives the outage.
  const group = groupOf(lab, prefix, 60, { client });
  const members = registerMany(group, 100);
  await group.ready;
  proxy.blackHole();
  const began = performance.now();
  const recorder = new Recorder(members[0] as never, memberEvents);
  await Promise.all(members.slice(0, 50).map((member) => member.close()));
  expect(performance.now() - began).toBeLessThan(5_000 + 1_000);
  expect(recorder.of<{ code: string }>("warning").at(-1)).toMatchObject({ code: "ETCD_TIMEOUT" });
  expect(Object.keys(await viewOf(lab.etcd, prefix))).toHaveLength(100);
  await proxy.heal();
  await untilThere(lab, group, viewFor(members.slice(50)), 10_000);
});

test("closing the group while etcd is frozen takes no longer than its TTL, and its keys are gone after", async () => {
  const prefix = lab.newPrefix();
  const proxy = await proxied();
  const group = groupOf(lab, prefix, 2, { client: lab.client({ endpoints: proxy.endpoint }) });
  for (let index = 0; index < 300; index++) group.register(`m${index}`, addressOf(index), { format: "endpoint" });
  await group.ready;
  proxy.blackHole();
  const recorder = new Recorder(group, groupEvents);
  const began = performance.now();
  await group.close({ drainMs: 100 });
  expect(performance.now() - began).toBeLessThan(2_000 + 100 + 1_500);
  expect(recorder.names.at(-1)).toBe("closed");
  expect(recorder.of<{ code: string }>("warning").at(-1)).toMatchObject({ code: "ETCD_TIMEOUT" });
  await proxy.heal();
  await until(async () => (await leasesOf(lab.endpoint)).length === 0);
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
});

test("updates, closes, deletions and bad links in any order: at the end exactly what is open, with its newest value", async () => {
  const random = seeded("group late writes");
  const prefix = lab.newPrefix();
  const proxy = await proxied();
  const client = lab.client({ endpoints: proxy.endpoint, requestTimeoutMs: 400 });
  const group = new RegistrationGroup(prefix, 2, { client });
  lab.also(() => group.close());
  const wanted: Record<string, string> = {};
  const closing: Promise<void>[] = [];
  const steps: string[] = [];
  for (let step = 0; step < 200; step++) {
    const what = random.between(0, 9);
    const ids = Object.keys(wanted);
    const id = ids.length > 0 ? random.pick(ids) : undefined;
    const address = addressOf(step);
    if (what <= 2 || id === undefined) {
      const fresh = `m${random.between(0, 60)}`;
      if (fresh in wanted) continue;
      group.register(fresh, address);
      wanted[fresh] = address;
      steps.push(`${fresh} made`);
    } else if (what <= 4) {
      wanted[id] = address;
      void group
        .get(id)
        ?.update({ address })
        .catch(() => {});
      steps.push(`${id} updated`);
    } else if (what === 5) {
      closing.push(group.get(id)?.close() ?? Promise.resolve());
      delete wanted[id];
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
  const said = `seed ${random.seed}: ${steps.join(", ")}`;
  await untilThere(lab, group, wanted).catch((cause) => {
    throw new Error(said, { cause });
  });
  await until(async () => (await leasesOf(lab.endpoint)).length === 1, { message: said });
  expect(await viewOf(lab.etcd, prefix), said).toEqual(wanted);
});
