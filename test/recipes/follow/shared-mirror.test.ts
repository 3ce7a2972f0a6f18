import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { SubscribeService } from "../../../recipes/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { collectGarbage } from "../../support/collect-garbage.ts";
import { watcherCounts } from "../../support/gateway/index.ts";
import { Recorder, subscribeEvents } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const watches = async () => (await watcherCounts(lab.endpoint)).watchers;

test("a hundred lists and views of one prefix and client are one watch, and the last one ends it", async () => {
  const before = await watches();
  const prefix = lab.newPrefix();
  for (const id of ["a", "b"]) await lab.etcd.put(prefix + id, `10.0.0.1:${id.charCodeAt(0)}`);
  const lists = Array.from({ length: 100 }, () => lab.subscribe(prefix));
  const views = lists.map((list) => list.view({ draining: false }));
  await Promise.all(lists.map(({ ready }) => ready));
  expect(await watches()).toBe(before + 1);
  const late = lab.subscribe(prefix);
  const recorder = new Recorder(late, subscribeEvents);
  await late.ready;
  expect(recorder.names).toEqual(["put", "put", "change", "status"]);
  expect(late.status).toBe("live");
  await lab.etcd.put(`${prefix}c`, "10.0.0.1:99");
  await Promise.all([...lists, ...views, late].map((list) => list.until(({ length }) => length === 3)));
  expect(await watches()).toBe(before + 1);
  // What is alike is there once.
  expect(late.list()[2]).toBe(lists[7]?.list()[2]);
  await Promise.all(lists.map((list) => list.close()));
  await lab.etcd.delete(`${prefix}c`);
  await late.until(({ length }) => length === 2);
  expect(lists[0]?.list()).toHaveLength(3);
  // It is not followed any more, though the mirror is.
  expect(late.staleForMs).toBe(0);
  expect(lists[0]?.staleForMs).toBeGreaterThan(0);
  await late.close();
  await until(async () => (await watches()) === before);
});

test("a reader that comes after the last has closed gets a new one", async () => {
  const prefix = lab.newPrefix();
  const first = lab.subscribe(prefix);
  await first.ready;
  const closing = first.close();
  const second = lab.subscribe(prefix);
  await second.ready;
  await closing;
  await lab.etcd.put(`${prefix}a`, "10.0.0.1:80");
  await second.until(({ length }) => length === 1);
  expect(first.list()).toEqual([]);
});

test("one that comes in an outage has the last good list at once, and is ready when it is live", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}a`, "10.0.0.1:80");
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const client = lab.client({ endpoints: proxy.endpoint, requestTimeoutMs: 500 });
  const first = lab.subscribe(prefix, { client });
  await first.ready;
  await proxy.down();
  await until(() => first.status === "stale");
  const second = lab.subscribe(prefix, { client });
  let ready = false;
  void second.ready.then(() => {
    ready = true;
  });
  await second.until(({ length }) => length === 1);
  await until(() => second.status === "stale");
  expect(ready).toBe(false);
  expect(second.staleForMs).toBeGreaterThan(0);
  await proxy.up();
  await second.ready;
  expect([first.status, second.status]).toEqual(["live", "live"]);
});

test("each fails for itself when the client is closed, and their ages grow", async () => {
  const client = lab.client();
  const prefix = lab.newPrefix();
  const lists = [lab.subscribe(prefix, { client }), lab.subscribe(prefix, { client })];
  await Promise.all(lists.map(({ ready }) => ready));
  const recorders = lists.map((list) => new Recorder(list, subscribeEvents));
  await client.close();
  for (const recorder of recorders) {
    await until(() => recorder.names.includes("failed"));
    expect(recorder.names).toEqual(["status", "failed"]);
  }
  for (const list of lists) await until(() => list.staleForMs > 0);
});

test("a listener that closes one of several does not hurt the others", async () => {
  const prefix = lab.newPrefix();
  const first = lab.subscribe(prefix);
  const second = lab.subscribe(prefix);
  await Promise.all([first.ready, second.ready]);
  const seen: string[] = [];
  first.on("put", ({ id }) => {
    seen.push(id);
    void first.close();
  });
  await lab.etcd.put(`${prefix}a`, "10.0.0.1:80");
  await lab.etcd.put(`${prefix}b`, "10.0.0.1:81");
  await second.until(({ length }) => length === 2);
  expect(seen).toEqual(["a"]);
  expect(first.status).toBe("closed");
});

test("one that was closed is let go, also when nothing happens any more and others go on", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}a`, "10.0.0.1:80");
  await using other = new SubscribeService(prefix, { client: lab.etcd });
  await other.ready;
  const closed = await (async () => {
    const services = new SubscribeService(prefix, { client: lab.etcd });
    await services.ready;
    await services.close();
    return new WeakRef(services);
  })();
  await until(async () => {
    collectGarbage();
    return closed.deref() === undefined;
  });
  expect(other.status).toBe("live");
});
