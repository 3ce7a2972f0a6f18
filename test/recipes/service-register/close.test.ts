import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { ServiceRegister } from "../../../recipes/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { historyOf, revisionOf, viewOf } from "../../support/etcd-view.ts";
import { leasesOf } from "../../support/gateway/index.ts";
import { Recorder, registerEvents } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;
/** Those that the test made. */
let newLeases: () => Promise<string[]>;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
beforeEach(async () => {
  const others = await leasesOf(lab.endpoint);
  newLeases = async () => (await leasesOf(lab.endpoint)).filter((id) => !others.includes(id));
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

async function proxied(): Promise<FaultProxy> {
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  return proxy;
}

async function elapsed(work: Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work;
  return performance.now() - began;
}

test("close deletes the key and revokes the lease, emits closed once and no loss", async () => {
  const prefix = lab.newPrefix();
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5);
  const recorder = new Recorder(register, registerEvents);
  await register.ready;
  recorder.clear();
  await Promise.all([register.close(), register.close({ drainMs: 5_000 }), register[Symbol.asyncDispose]()]);
  await register.close();
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
  expect(await newLeases()).toEqual([]);
  expect(recorder.names).toEqual(["status", "closed"]);
  expect(register.status).toBe("closed");
  expect(lab.etcd.closed).toBe(false);
});

test("nothing is emitted for a key that vanishes while it is closed", async () => {
  const prefix = lab.newPrefix();
  for (let round = 0; round < 30; round++) {
    const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5);
    const recorder = new Recorder(register, registerEvents);
    await register.ready;
    recorder.clear();
    await register.close();
    expect(recorder.names).toEqual(["status", "closed"]);
  }
});

test("an endpoint registration is seen draining for drainMs before it is deleted", async () => {
  const prefix = lab.newPrefix();
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5, { weight: 3 });
  await register.ready;
  const services = lab.subscribe(prefix);
  await services.ready;
  const deletedAt = new Promise<number>((resolve) => services.once("delete", () => resolve(performance.now())));
  const closing = register.close({ drainMs: 400 });
  await services.until(([first]) => first?.draining === true);
  const drainingAt = performance.now();
  expect(services.list()).toMatchObject([{ address: "10.0.0.1:80", weight: 3, draining: true }]);
  expect(() => services.pick()).toThrow(expect.objectContaining({ code: "ETCD_NO_SERVERS" }));
  expect((await deletedAt) - drainingAt).toBeGreaterThan(300);
  await closing;
});

test("a plain registration is deleted first and waits after", async () => {
  const prefix = lab.newPrefix();
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5);
  await register.ready;
  const began = performance.now();
  const closing = register.close({ drainMs: 2_000 });
  await until(async () => (await lab.etcd.get(`${prefix}m1`)) === undefined);
  // Gone before the wait is over: the order is the promise.
  expect(performance.now() - began).toBeLessThan(500);
  expect(register.status).not.toBe("closed");
  await closing;
  expect(performance.now() - began).toBeGreaterThan(1_990);
});

test("closed before it could begin: nothing is written, ready says why", async () => {
  const prefix = lab.newPrefix();
  const start = await revisionOf(lab.etcd);
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 5);
  await register.close();
  await expect(register.ready).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  expect(await historyOf(lab.etcd, prefix, start + 1)).toEqual([]);
});

test("closed while the grant of its lease is on the way: no lease is left, and no key", async () => {
  const prefix = lab.newPrefix();
  const proxy = await proxied();
  const client = lab.client({ endpoints: proxy.endpoint });
  await client.get("warm");
  const start = await revisionOf(lab.etcd);
  proxy.blackHole("toClient");
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 60, { client });
  // It has left and is granted; the answer has not come.
  await until(async () => (await newLeases()).length === 1);
  expect(register.status).toBe("registering");
  const closing = register.close();
  await proxy.heal();
  await closing;
  await until(async () => (await newLeases()).length === 0, { message: "the lease is gone" });
  expect(await historyOf(lab.etcd, prefix, start + 1)).toEqual([]);
});

test("closed while its first put is on the way: no key is left", async () => {
  const prefix = lab.newPrefix();
  const proxy = await proxied();
  const client = lab.client({ endpoints: proxy.endpoint });
  await client.get("warm");
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 60, { client });
  // The grant's answer comes, the put's does not.
  const put = client.txn.bind(client);
  client.txn = (request, options) => {
    proxy.blackHole("toClient");
    return put(request, options);
  };
  await until(async () => (await lab.etcd.get(`${prefix}m1`)) !== undefined);
  expect(register.status).toBe("registering");
  const closing = register.close();
  await proxy.heal();
  await closing;
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
  await until(async () => (await newLeases()).length === 0, { message: "the lease is gone" });
});

test("closed while etcd is away it takes no longer than its TTL, and its key is gone after", async () => {
  const prefix = lab.newPrefix();
  const proxy = await proxied();
  const recorded: { register: ServiceRegister; recorder: Recorder }[] = [];
  for (const options of [{}, { weight: 2 }]) {
    const client = lab.client({ endpoints: proxy.endpoint });
    const register = lab.register(`${prefix}${recorded.length}`, "10.0.0.1:80", 2, { client, ...options });
    await register.ready;
    recorded.push({ register, recorder: new Recorder(register, registerEvents) });
  }
  proxy.blackHole();
  const took = await Promise.all(recorded.map(({ register }) => elapsed(register.close({ drainMs: 100 }))));
  for (const ms of took) expect(ms).toBeLessThan(2_000 + 100 + 400);
  for (const { register, recorder } of recorded) {
    expect(register.status).toBe("closed");
    expect(recorder.names.at(-1)).toBe("closed");
    expect(recorder.of<{ code: string }>("warning")[0]).toMatchObject({ code: "ETCD_TIMEOUT" });
    expect(recorder.of("status")).toEqual(["closed"]);
  }
  await proxy.heal();
  await until(async () => (await newLeases()).length === 0, { message: "the leases are gone" });
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
});

test("closed while recovering, its old key and every lease that it had are gone", async () => {
  const prefix = lab.newPrefix();
  const proxy = await proxied();
  const client = lab.client({ endpoints: proxy.endpoint });
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 2, { client });
  await register.ready;
  proxy.blackHole();
  await until(() => register.status === "recovering");
  const closing = register.close({ drainMs: 50 });
  await proxy.heal();
  await closing;
  await until(async () => (await newLeases()).length === 0, { message: "the leases are gone" });
  expect(await viewOf(lab.etcd, prefix)).toEqual({});
});

test("closed while passive it leaves the other's key and lease alone", async () => {
  const prefix = lab.newPrefix();
  const first = lab.register(`${prefix}m1`, "10.0.0.1:80", 2);
  await first.ready;
  const second = lab.register(`${prefix}m1`, "10.0.0.2:80", 2);
  await until(() => first.status === "passive");
  expect(await elapsed(first.close({ drainMs: 5_000 }))).toBeLessThan(1_000);
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "10.0.0.2:80" });
  expect(await newLeases()).toHaveLength(1);
  expect(second.status).toBe("registered");
});

test("closed while health says no, it is closed at once and its lease is gone", async () => {
  const prefix = lab.newPrefix();
  let healthy = true;
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 2, {
    health: () => healthy,
    healthEverySeconds: 0.1,
  });
  await register.ready;
  healthy = false;
  await until(() => register.status === "passive");
  await register.close();
  expect(await newLeases()).toEqual([]);
});

test("a client of its own is closed with it, a given one is not", async () => {
  const prefix = lab.newPrefix();
  const proxy = await proxied();
  const own = new ServiceRegister(`${prefix}m1`, "10.0.0.1:80", 5, { client: { endpoints: proxy.endpoint } });
  await own.ready;
  expect(proxy.connections).toBeGreaterThan(0);
  await own.close();
  await until(() => proxy.connections === 0, { message: "no connection is left" });
  const given = lab.client({ endpoints: proxy.endpoint });
  const register = lab.register(`${prefix}m2`, "10.0.0.1:80", 5, { client: given });
  await register.ready;
  await register.close();
  expect(given.closed).toBe(false);
  expect(await given.get("k")).toBeUndefined();
});

test("a client of its own is closed when the registration fails", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}m1`, "by hand");
  const proxy = await proxied();
  const own = new ServiceRegister(`${prefix}m1`, "10.0.0.1:80", 5, {
    client: { endpoints: proxy.endpoint },
    onConflict: "error",
  });
  await expect(own.ready).rejects.toMatchObject({ code: "ETCD_CONFLICT" });
  await until(() => proxy.connections === 0, { message: "no connection is left" });
  await until(async () => (await newLeases()).length === 0, { message: "no lease is left" });
  await own.close();
});
