import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Cancellation, ClusterMonitor, Confirmation } from "../../../recipes/index.ts";
import type { EtcdClient } from "../../../src/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { requestsServed } from "../../support/gateway/index.ts";
import { Recorder, subscribeEvents } from "../../support/recorder.ts";
import { addressesOf, RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

// Who joins a prefix that is followed already shares its mirror, which is of whatever age. Its `ready` promises more:
// what was acknowledged before it was made.

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

/** A client behind a proxy, and a subscription on it that follows a prefix with one service, `a`. */
async function followed() {
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const client = lab.client({ endpoints: proxy.endpoint });
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}a`, "a:1");
  const first = lab.subscribe(prefix, { client });
  await first.ready;
  return { proxy, client, prefix, first, join: () => lab.subscribe(prefix, { client }) };
}

function settledOf(promise: Promise<unknown>): () => boolean {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  promise.then(settle, settle);
  return () => settled;
}

test("what was registered, changed or deregistered before it was made is in the list when it is ready", async () => {
  const { proxy, prefix, join } = await followed();
  // Events arrive here a moment after they were acknowledged there.
  proxy.delay(30);
  await lab.etcd.put(`${prefix}b`, "b:1");
  const second = join();
  await second.ready;
  expect(addressesOf(second.list())).toEqual(["a:1", "b:1"]);
  await lab.etcd.put(`${prefix}a`, "a:2");
  const third = join();
  await third.ready;
  expect(addressesOf(third.list())).toEqual(["a:2", "b:1"]);
  await lab.etcd.delete(`${prefix}a`);
  await lab.etcd.delete(`${prefix}b`);
  const fourth = join();
  await fourth.ready;
  expect(addressesOf(fourth.list())).toEqual([]);
  await lab.etcd.put(`${prefix}a`, "a:3");
  const fifth = join();
  await fifth.ready;
  expect(addressesOf(fifth.list())).toEqual(["a:3"]);
});

test("it is ready although the mirror never comes to etcd's revision: nothing happens under its prefix", async () => {
  const { first, join } = await followed();
  const revision = first.revision;
  await lab.etcd.put(lab.newPrefix(), "somewhere else");
  const second = join();
  const recorder = new Recorder(second, subscribeEvents);
  await second.ready;
  expect(recorder.names).toEqual(["put", "change", "status"]);
  expect(second.status).toBe("live");
  expect(second.revision).toBe(revision);
});

test("behind a black hole it has the last good list at once, and is ready only when etcd was asked", async () => {
  const { proxy, prefix, first, join } = await followed();
  proxy.blackHole();
  const second = join();
  const isReady = settledOf(second.ready);
  await second.until((list) => list.length === 1);
  await lab.etcd.put(`${prefix}b`, "b:1");
  expect([first.status, second.status, isReady()]).toEqual(["live", "connecting", false]);
  await proxy.heal();
  await second.ready;
  expect(addressesOf(second.list())).toEqual(["a:1", "b:1"]);
});

test("one that comes in an outage is ready with what happened in it", async () => {
  const { proxy, prefix, first, join } = await followed();
  await proxy.down();
  await until(() => first.status === "stale");
  await lab.etcd.put(`${prefix}b`, "b:1");
  const second = join();
  await until(() => second.status === "stale");
  await proxy.up();
  await second.ready;
  expect(addressesOf(second.list())).toEqual(["a:1", "b:1"]);
});

test("one that is closed while it waits rejects, and the others go on", async () => {
  const { proxy, prefix, first, join } = await followed();
  proxy.blackHole();
  const [second, third] = [join(), join()];
  await second.until((list) => list.length === 1);
  await second.close();
  await expect(second.ready).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  expect(second.status).toBe("closed");
  await proxy.heal();
  await third.ready;
  await lab.etcd.put(`${prefix}b`, "b:1");
  await first.until((list) => list.length === 2);
});

test("when the client is closed while it waits it fails", async () => {
  const { proxy, client, join } = await followed();
  proxy.blackHole();
  const second = join();
  await second.until((list) => list.length === 1);
  await client.close();
  await expect(second.ready).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  expect(second.status).toBe("failed");
});

test("one that comes after a wipe is ready with what etcd has since", async () => {
  await using own = await RegistryLab.start();
  const prefix = own.newPrefix();
  // The history that is lost has fewer revisions, then more than the one after it.
  for (const puts of [1, 40]) {
    const client = own.client();
    const first = own.subscribe(prefix, { client });
    await first.ready;
    for (let index = 0; index < puts; index++) await own.etcd.put(`${prefix}old`, `old:${index}`);
    await first.until((list) => list.some(({ id }) => id === "old"));
    await own.cluster.wipe();
    for (let index = 0; index < 10; index++) await own.etcd.put(`${prefix}new`, `new:${index}`);
    const second = own.subscribe(prefix, { client });
    await second.ready;
    expect(addressesOf(second.list())).toEqual(["new:9"]);
    await Promise.all([first.close(), second.close()]);
  }
});

test("a view is ready when it has what was acknowledged before its ready was asked for", async () => {
  const { proxy, prefix, first } = await followed();
  proxy.delay(30);
  await lab.etcd.put(`${prefix}b`, "b:1");
  const view = first.view({ draining: false });
  expect(addressesOf(view.list())).toEqual(["a:1"]);
  await view.ready;
  expect(addressesOf(view.list())).toEqual(["a:1", "b:1"]);
  await lab.etcd.put(`${prefix}c`, "c:1");
  const closed = first.view({});
  const { ready } = closed;
  await closed.close();
  await expect(ready).rejects.toMatchObject({ code: "ETCD_CLOSED" });
});

test("so it is with a second cancellation, confirmation and monitor", async () => {
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const client = lab.client({ endpoints: proxy.endpoint });
  const prefix = lab.newPrefix();
  const make = (through: EtcdClient) => {
    const cancellation = new Cancellation(`${prefix}cancel`, { client: through });
    const confirmation = new Confirmation(`${prefix}confirm`, { client: through });
    const monitor = new ClusterMonitor(`${prefix}nodes`, { client: through });
    for (const recipe of [cancellation, confirmation, monitor]) lab.also(() => recipe.close());
    const ready = () => Promise.all([cancellation.ready, confirmation.ready, monitor.ready]);
    return { cancellation, confirmation, monitor, ready };
  };
  const elsewhere = make(lab.etcd);
  await Promise.all([elsewhere.ready(), make(client).ready()]);
  proxy.delay(30);
  await elsewhere.cancellation.cancel("run", "superseded");
  await elsewhere.monitor.join("node", {}).ready;
  const aborting = new AbortController();
  elsewhere.confirmation.request("question", { timeoutSeconds: 60, signal: aborting.signal }).catch(() => {});
  await until(async () => (await elsewhere.confirmation.pending()).length === 1);
  const second = make(client);
  const requested: string[] = [];
  second.confirmation.on("requested", ({ id }) => requested.push(id));
  await second.ready();
  expect(second.cancellation.signal("run").aborted).toBe(true);
  expect(second.monitor.nodes().map(({ name }) => name)).toEqual(["node"]);
  expect(requested).toEqual(["question"]);
  aborting.abort();
});

test("those who join in the same turn ask etcd once", async () => {
  const { client, prefix } = await followed();
  const before = await requestsServed(lab.endpoint);
  const lists = Array.from({ length: 50 }, () => lab.subscribe(prefix, { client }));
  await Promise.all(lists.map(({ ready }) => ready));
  const after = await requestsServed(lab.endpoint);
  const sent = ["Txn", "Range"].reduce((sum, method) => sum + (after[method] ?? 0) - (before[method] ?? 0), 0);
  expect(sent).toBe(1);
});
