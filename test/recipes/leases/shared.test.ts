import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { ServiceRegister } from "../../../recipes/index.ts";
import { EtcdClient, InvalidOptionError } from "../../../src/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { historyOf, revisionOf, viewOf } from "../../support/etcd-view.ts";
import { leasesOf, revokeLease } from "../../support/gateway/index.ts";
import { Recorder, registerEvents } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

function addressOf(index: number): string {
  return `10.0.0.${index}:80`;
}

function registerShared(client: EtcdClient, prefix: string, count: number, ttl = 5): ServiceRegister[] {
  return Array.from({ length: count }, (_, index) =>
    lab.register(`${prefix}m${index}`, addressOf(index), ttl, { client, lease: "shared" }),
  );
}

function viewFor(count: number, from = 0): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: count - from }, (_, index) => [`m${from + index}`, addressOf(from + index)]),
  );
}

test("fifty registrations share one lease; it outlives all but the last that leaves", async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on("warning", onWarning);
  const prefix = lab.newPrefix();
  const client = lab.client();
  const registers = registerShared(client, prefix, 50);
  await Promise.all(registers.map(({ ready }) => ready));
  const leases = await leasesOf(lab.endpoint);
  expect(leases).toHaveLength(1);
  const recorder = new Recorder(registers[49] as ServiceRegister, registerEvents);
  for (const [index, register] of registers.slice(0, 49).entries()) {
    await register.close();
    if (index % 16 === 0) expect(await viewOf(lab.etcd, prefix)).toEqual(viewFor(50, index + 1));
  }
  expect(await leasesOf(lab.endpoint)).toEqual(leases);
  expect(recorder.names).toEqual([]);
  await registers[49]?.close();
  expect(await leasesOf(lab.endpoint)).toEqual([]);
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
  process.off("warning", onWarning);
  expect(warnings).toEqual([]);
});

test("closed all at once they are gone, and so is the lease", async () => {
  const prefix = lab.newPrefix();
  const registers = registerShared(lab.client(), prefix, 20);
  await Promise.all(registers.map(({ ready }) => ready));
  await Promise.all(registers.map((register) => register.close()));
  expect(await leasesOf(lab.endpoint)).toEqual([]);
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
});

test("another TTL, another client, or an own lease is another lease", async () => {
  const prefix = lab.newPrefix();
  const client = lab.client();
  const registers = [
    ...registerShared(client, prefix, 2),
    lab.register(`${prefix}other-ttl`, "a:1", 6, { client, lease: "shared" }),
    lab.register(`${prefix}other-client`, "a:1", 5, { client: lab.client(), lease: "shared" }),
    lab.register(`${prefix}own`, "a:1", 5, { client, lease: "own" }),
  ];
  await Promise.all(registers.map(({ ready }) => ready));
  expect(await leasesOf(lab.endpoint)).toHaveLength(4);
});

test("one key twice on one lease is refused until the first one closes, and nothing is left of the second", async () => {
  const prefix = lab.newPrefix();
  const client = lab.client();
  const [first] = registerShared(client, prefix, 1);
  const again = () => lab.register(`${prefix}m0`, "10.0.1.1:80", 5, { client, lease: "shared" });
  expect(again).toThrow(InvalidOptionError);
  expect(again).toThrow(
    `ServiceRegister: key must be a new one on a shared lease: this client has registered ${prefix}m0 on it already; close that one first`,
  );
  await first?.ready;
  expect(again).toThrow(InvalidOptionError);
  await first?.close();
  await again().ready;
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m0: "10.0.1.1:80" });
});

test("a shared lease on a client of its own is refused: no other registration could share it", () => {
  const options = { client: { endpoints: lab.cluster.endpoints }, lease: "shared" } as const;
  const construct = () => lab.register(`${lab.newPrefix()}m1`, "a:1", 5, options);
  expect(construct).toThrow(
    "ServiceRegister: lease cannot be shared: a client of its own has no other registration to share with; give an EtcdClient",
  );
  expect(() => lab.register("/m1", "a:1", 5, { lease: "both" as "own" })).toThrow(
    'ServiceRegister: lease must be "own" or "shared"',
  );
});

test("a key that is registered again while the first one still drains stands there with the new value, each time", async () => {
  const prefix = lab.newPrefix();
  const client = lab.client();
  const [kept] = registerShared(client, prefix, 1);
  await kept?.ready;
  const key = `${prefix}again`;
  let last = lab.register(key, "10.0.1.0:80", 5, { client, lease: "shared", weight: 2 });
  const closing: Promise<void>[] = [];
  for (let round = 1; round <= 10; round++) {
    if (round % 2 === 0) await last.ready;
    closing.push(last.close({ drainMs: round === 4 ? 300 : 0 }));
    last = lab.register(key, `10.0.1.${round}:80`, 5, { client, lease: "shared", onConflict: "error" });
  }
  await last.ready;
  await Promise.all(closing);
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m0: addressOf(0), again: "10.0.1.10:80" });
  expect(await leasesOf(lab.endpoint)).toHaveLength(1);
});

test("who waits for a key that is being left neither cuts the draining short nor loses what it puts after it", async () => {
  const prefix = lab.newPrefix();
  const client = lab.client();
  const [kept] = registerShared(client, prefix, 1);
  await kept?.ready;
  const key = `${prefix}again`;
  const first = lab.register(key, "10.0.1.0:80", 5, { client, lease: "shared", weight: 2 });
  await first.ready;
  const start = await revisionOf(lab.etcd);
  const closing = first.close({ drainMs: 300 });
  const next = lab.register(key, "10.0.1.1:80", 5, { client, lease: "shared", onConflict: "error" });
  const recorder = new Recorder(next, registerEvents);
  await Promise.all([closing, next.ready]);
  const history = await historyOf(lab.etcd, key, start + 1);
  expect(history.map(({ type, kv }) => (type === "put" ? kv.text.replace(/.*draining.*/, "draining") : type))).toEqual([
    "draining",
    "delete",
    "10.0.1.1:80",
  ]);
  expect(recorder.names).toEqual(["status", "registered"]);
});

test("who waits for a key waits for all that leave it, also when one that waited with it has given up", async () => {
  const prefix = lab.newPrefix();
  const client = lab.client();
  const [kept] = registerShared(client, prefix, 1);
  await kept?.ready;
  const key = `${prefix}again`;
  const register = (address: string) => lab.register(key, address, 5, { client, lease: "shared", onConflict: "error" });
  const first = lab.register(key, "10.0.1.0:80", 5, { client, lease: "shared", weight: 2 });
  await first.ready;
  const start = await revisionOf(lab.etcd);
  const closing = first.close({ drainMs: 300 });
  await register("10.0.1.1:80").close();
  const third = register("10.0.1.2:80");
  const recorder = new Recorder(third, registerEvents);
  await Promise.all([closing, third.ready]);
  const history = await historyOf(lab.etcd, key, start + 1);
  expect(history.map(({ type, kv }) => (type === "put" ? kv.text.replace(/.*draining.*/, "draining") : type))).toEqual([
    "draining",
    "delete",
    "10.0.1.2:80",
  ]);
  expect(recorder.names).toEqual(["status", "registered"]);
  await third.close();
  await register("10.0.1.3:80").ready;
});

test("a shared lease revoked by hand: all come back on one new lease", async () => {
  const prefix = lab.newPrefix();
  const registers = registerShared(lab.client(), prefix, 20);
  await Promise.all(registers.map(({ ready }) => ready));
  const recorders = registers.map((register) => new Recorder(register, registerEvents));
  for (let round = 0; round < 3; round++) {
    for (const recorder of recorders) recorder.clear();
    const [lease] = await leasesOf(lab.endpoint);
    await revokeLease(lab.endpoint, lease as never);
    await until(() => recorders.every(({ names }) => names.at(-1) === "registered"));
    expect(await viewOf(lab.etcd, prefix)).toEqual(viewFor(20));
    const now = await leasesOf(lab.endpoint);
    expect(now).toHaveLength(1);
    expect(now).not.toEqual([lease]);
  }
});

test("a shared lease lost in an outage of 3×TTL: the exact keys come back on one lease, closed ones never", async () => {
  const prefix = lab.newPrefix();
  const registers = registerShared(lab.client(), prefix, 10, 2);
  await Promise.all(registers.map(({ ready }) => ready));
  await lab.cluster.kill();
  const downAt = performance.now();
  await until(() => registers.every(({ status }) => status === "recovering"));
  const updated = registers[9]?.update({ address: "10.0.9.9:80" });
  await Promise.all(registers.slice(0, 3).map((register) => register.close()));
  await until(() => performance.now() - downAt >= 6_000);
  await lab.cluster.restart();
  await updated;
  const wanted = { ...viewFor(10, 3), m9: "10.0.9.9:80" };
  await until(async () => {
    expect(await viewOf(lab.etcd, prefix)).toEqual(wanted);
    return (await leasesOf(lab.endpoint)).length === 1;
  });
  expect(registers.slice(3).every(({ status }) => status === "registered")).toBe(true);
});

test("who comes while the last one's lease is being revoked gets a new one, and keeps it", async () => {
  const prefix = lab.newPrefix();
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const client = lab.client({ endpoints: proxy.endpoint });
  for (let round = 0; round < 5; round++) {
    const [last] = registerShared(client, prefix, 1);
    await last?.ready;
    proxy.delay(30);
    const closing = last?.close();
    const next = lab.register(`${prefix}next`, `10.0.1.${round}:80`, 5, { client, lease: "shared" });
    await Promise.all([closing, next.ready]);
    expect(await viewOf(lab.etcd, prefix)).toEqual({ next: `10.0.1.${round}:80` });
    expect(await leasesOf(lab.endpoint)).toHaveLength(1);
    await proxy.heal();
    await next.close();
  }
});

test("closed while the grant is on the way: the others get it; with none left no lease is left", async () => {
  const prefix = lab.newPrefix();
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const client = lab.client({ endpoints: proxy.endpoint });
  await client.get("warm");
  proxy.delay(100);
  const registers = registerShared(client, prefix, 4, 60);
  await until(async () => (await leasesOf(lab.endpoint)).length === 1);
  await Promise.all(registers.slice(0, 3).map((register) => register.close()));
  await registers[3]?.ready;
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m3: addressOf(3) });
  await registers[3]?.close();
  const others = registerShared(client, prefix, 4, 61);
  await until(async () => (await leasesOf(lab.endpoint)).length === 1);
  await Promise.all(others.map((register) => register.close()));
  await until(async () => (await leasesOf(lab.endpoint)).length === 0, { message: "no lease is left" });
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
});

test("one whose update is refused keeps its last value, and leaves the lease to the others", async () => {
  const prefix = lab.newPrefix();
  const registers = registerShared(lab.client(), prefix, 3);
  await Promise.all(registers.map(({ ready }) => ready));
  const failing = lab.register(`${prefix}failing`, "a:1", 5, {
    client: lab.etcd,
    lease: "shared",
    metadata: {},
  });
  await failing.ready;
  await expect(failing.update({ metadata: { text: "x".repeat(3_000_000) } })).rejects.toMatchObject({
    code: "ETCD_REQUEST_REFUSED",
  });
  expect(failing.status).toBe("registered");
  expect((await lab.etcd.get(failing.key))?.text).toContain("a:1");
  await failing.close();
  expect(await viewOf(lab.etcd, prefix)).toEqual(viewFor(3));
  // Its key is free again, and the conflict rules are those of any other.
  await lab.register(failing.key, "a:2", 5, { client: lab.etcd, lease: "shared", onConflict: "error" }).ready;
  expect(registers.every(({ status }) => status === "registered")).toBe(true);
});

test("on one key of two clients the rules of a conflict hold: replaced, it waits and returns", async () => {
  const prefix = lab.newPrefix();
  const [first, bystander] = registerShared(lab.client(), prefix, 2);
  await Promise.all([first?.ready, bystander?.ready]);
  const second = lab.register(`${prefix}m0`, "10.0.1.1:80", 5, { client: lab.client(), lease: "shared" });
  await second.ready;
  await until(() => first?.status === "passive");
  expect(bystander?.status).toBe("registered");
  await second.close();
  await until(() => first?.status === "registered");
  expect(await viewOf(lab.etcd, prefix)).toEqual(viewFor(2));
});

test("a closed client ends them all", async () => {
  const prefix = lab.newPrefix();
  const client = new EtcdClient({ endpoints: lab.cluster.endpoints });
  const registers = registerShared(client, prefix, 5);
  await Promise.all(registers.map(({ ready }) => ready));
  await client.close();
  await until(() => registers.every(({ status }) => status === "failed"));
  expect(await leasesOf(lab.endpoint)).toEqual([]);
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
});
