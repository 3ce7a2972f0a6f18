import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { ServiceInstance } from "../../../recipes/index.ts";
import { EtcdClient, putOp } from "../../../src/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { Recorder, subscribeEvents } from "../../support/recorder.ts";
import { addressesOf, RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

/** A live list of a, b and c behind a link that can be broken. */
async function followed() {
  const prefix = lab.newPrefix();
  for (const id of "abc") await lab.etcd.put(prefix + id, `10.0.0.1:${id.charCodeAt(0)}`);
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const services = lab.subscribe(prefix, { client: lab.client({ endpoints: proxy.endpoint }) });
  await services.ready;
  const recorder = new Recorder(services, subscribeEvents);
  return { prefix, proxy, services, recorder };
}

function received({ events }: Recorder): string[] {
  return events
    .filter(({ name }) => ["put", "delete"].includes(name))
    .map(({ name, args }) => `${name} ${(args[0] as ServiceInstance).id}${args[1] ? " again" : ""}`);
}

test("in an outage the last good list stays, with its age; after it exactly what differs is emitted", async () => {
  const { prefix, proxy, services, recorder } = await followed();
  const before = services.list();
  await proxy.down();
  await until(() => services.status === "stale");
  expect(recorder.names).toEqual(["warning", "status"]);
  expect(services.list()).toBe(before);
  expect(before).toContain(services.pick());
  await until(() => services.staleForMs > 100);
  await lab.etcd.delete(`${prefix}a`);
  await lab.etcd.put(`${prefix}b`, "10.0.0.2:80");
  await lab.etcd.put(`${prefix}d`, "10.0.0.4:80");
  await lab.etcd.put(`${prefix}c`, "10.0.0.3:80");
  await lab.etcd.delete(`${prefix}c`);
  await lab.etcd.put(`${prefix}c`, "10.0.0.3:81");
  recorder.clear();
  await proxy.up();
  await services.until((list) => addressesOf(list).join() === "10.0.0.2:80,10.0.0.3:81,10.0.0.4:80");
  await until(() => services.status === "live");
  expect(services.staleForMs).toBe(0);
  const all = received(recorder);
  // Step by step as it happened, or one step that comes to the same; c was made anew, so it went and came.
  expect(all.filter((line) => !line.includes(" c"))).toEqual(["delete a", "put b again", "put d"]);
  const ofC = all.filter((line) => line.includes(" c")).join();
  expect(["put c again,delete c,put c", "delete c,put c"]).toContain(ofC);
});

test("compacted away meanwhile: listed anew, a key deleted and made again is emitted as delete, then put", async () => {
  const { prefix, proxy, services, recorder } = await followed();
  await proxy.down();
  await until(() => services.status === "stale");
  recorder.clear();
  await lab.etcd.delete(`${prefix}a`);
  await lab.etcd.put(`${prefix}a`, "10.0.0.9:80");
  await lab.etcd.delete(`${prefix}b`);
  const { revision } = await lab.etcd.put(`${prefix}c`, "10.0.0.3:80");
  await lab.cluster.compact(revision);
  await proxy.up();
  await services.until((list) => addressesOf(list).join() === "10.0.0.9:80,10.0.0.3:80");
  expect(received(recorder)).toEqual(["delete a", "delete b", "put a", "put c again"]);
  const changes = recorder.events.filter(({ name }) => name === "change");
  expect(changes).toHaveLength(1);
  expect(recorder.names.filter((name) => name !== "warning" && name !== "status").at(-1)).toBe("change");
  await until(() => services.status === "live");
  expect(services.revision).toBeGreaterThanOrEqual(revision);
});

test("one txn is one change, and the list is already the new one when it is emitted", async () => {
  const { prefix, services, recorder } = await followed();
  const lists: number[] = [];
  services.on("put", () => lists.push(services.list().length));
  services.on("delete", () => lists.push(services.list().length));
  await lab.etcd.txn({ success: ["d", "e", "f"].map((id) => putOp(prefix + id, "10.0.0.1:80")) });
  await services.until(({ length }) => length === 6);
  expect(recorder.names).toEqual(["put", "put", "put", "change"]);
  expect(lists).toEqual([6, 6, 6]);
});

test("etcd restarts: the same list, nothing emitted but the status", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}m1`, "10.0.0.1:80");
  const services = lab.subscribe(prefix, { client: lab.client() });
  await services.ready;
  const list = services.list();
  const recorder = new Recorder(services, subscribeEvents);
  await lab.cluster.kill();
  await until(() => services.status === "stale");
  await lab.cluster.restart();
  await until(() => services.status === "live", { timeoutMs: 20_000 });
  expect(services.list()).toBe(list);
  expect(recorder.names.filter((name) => name !== "warning")).toEqual(["status", "status"]);
});

test("closed in an outage it is closed at once, keeps its list and emits nothing more but the status", async () => {
  const { prefix, proxy, services, recorder } = await followed();
  const list = services.list();
  proxy.blackHole();
  recorder.clear();
  const began = performance.now();
  await Promise.all([services.close(), services.close(), services[Symbol.asyncDispose]()]);
  expect(performance.now() - began).toBeLessThan(500);
  await lab.etcd.delete(`${prefix}a`);
  await proxy.heal();
  expect(services.list()).toBe(list);
  expect(recorder.names).toEqual(["status"]);
  expect(services.status).toBe("closed");
});

test("closed from inside a listener it emits nothing more, not even of the same batch", async () => {
  const { prefix, services, recorder } = await followed();
  services.once("put", () => void services.close());
  await lab.etcd.txn({ success: ["d", "e", "f"].map((id) => putOp(prefix + id, "10.0.0.1:80")) });
  await until(() => services.status === "closed");
  expect(recorder.names).toEqual(["put", "status"]);
});

test("listeners that throw or reject are reported, and the list goes on", async () => {
  const { prefix, services, recorder } = await followed();
  services.on("put", () => {
    throw new Error("boom");
  });
  services.on("change", async () => {
    throw new Error("late");
  });
  for (const port of [1, 2, 3]) {
    await lab.etcd.put(`${prefix}a`, `10.0.0.1:${port}`);
    await services.until(([first]) => first?.address === `10.0.0.1:${port}`);
  }
  await until(() => recorder.of("warning").length === 6);
  for (const warning of recorder.of("warning")) expect(warning).toMatchObject({ code: "ETCD_LISTENER_FAILED" });
});

test("the client closed under it: failed, the list stays, close is still fine", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}m1`, "10.0.0.1:80");
  const client = new EtcdClient({ endpoints: lab.cluster.endpoints });
  const services = lab.subscribe(prefix, { client });
  const recorder = new Recorder(services, ["status", "failed"]);
  await services.ready;
  await client.close();
  await until(() => services.status === "failed");
  expect(recorder.events.map(({ name, status }) => `${name} ${status}`)).toEqual([
    "status live",
    "status failed",
    "failed failed",
  ]);
  expect(addressesOf(services.list())).toEqual(["10.0.0.1:80"]);
  await services.close();
  expect(services.status).toBe("closed");
  const late = lab.subscribe(prefix, { client });
  await expect(late.ready).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  expect(late.status).toBe("failed");
});
