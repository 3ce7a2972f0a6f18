import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { Storage, type StorageWatchOptions } from "../../../recipes/index.ts";
import { prefix as prefixOf, putOp } from "../../../src/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;
beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab[Symbol.asyncDispose]());

/** A prefix that is followed, and all its events, in order. */
async function follow(options: StorageWatchOptions = {}, { endpoints = lab.cluster.endpoints } = {}) {
  const prefix = lab.newPrefix();
  const storage = new Storage({ client: lab.client({ endpoints }) });
  lab.also(() => storage.close());
  const received: string[] = [];
  const warnings: Error[] = [];
  storage.on("warning", (error) => warnings.push(error));
  const watch = () =>
    storage.watch(
      prefix,
      (id, value) => received.push(`+${id}=${value}`),
      (id, last) => received.push(`-${id}=${last}`),
      options,
    );
  return { prefix, storage, received, warnings, watch };
}

test("puts and deletions are reported by id, in order, and what was there before is not", async () => {
  const { prefix, storage, received, watch } = await follow();
  await storage.put(`${prefix}old`, "0");
  await watch().ready;
  await storage.put(`${prefix}a`, "1");
  await storage.put(`${prefix}a`, "2");
  await storage.put(`${prefix}deep/er`, "3");
  expect(await storage.delete(`${prefix}a`)).toBe(true);
  expect(await storage.delete(`${prefix}old`)).toBe(true);
  await until(() => received.length === 5);
  expect(received).toEqual(["+a=1", "+a=2", "+deep/er=3", "-a=2", "-old=0"]);
});

test("with replay the keys that are there are reported as puts", async () => {
  const { prefix, storage, received, watch } = await follow({ initial: "replay" });
  await storage.put(`${prefix}a`, "1");
  await storage.put(`${prefix}b`, "2");
  await watch().ready;
  await until(() => received.length === 2);
  expect(received.toSorted()).toEqual(["+a=1", "+b=2"]);
});

test("a prefix without a slash is read with one: neighbours never bleed in", async () => {
  const { prefix, storage, received } = await follow();
  const watching = storage.watch(
    prefix.slice(0, -1),
    (id) => received.push(id),
    () => {},
  );
  await watching.ready;
  await storage.put(`${prefix.slice(0, -1)}2/neighbour`, "");
  await storage.put(`${prefix}own`, "");
  await until(() => received.length > 0);
  expect(received).toEqual(["own"]);
});

test("one id's callbacks run in order, different ids' in parallel, up to the concurrency", async () => {
  const { prefix, storage } = await follow();
  const release: (() => void)[] = [];
  const begun: string[] = [];
  const watching = storage.watch(
    prefix,
    async (id, value) => {
      begun.push(`${id}${value}`);
      await new Promise<void>((resolve) => release.push(resolve));
    },
    () => {},
    { concurrency: 3 },
  );
  await watching.ready;
  await lab.etcd.txn({ success: ["a", "b", "c", "d"].map((id) => putOp(`${prefix}${id}`, "1")) });
  await lab.etcd.put(`${prefix}a`, "2");
  await until(() => begun.length === 3);
  expect(begun.toSorted()).toEqual(["a1", "b1", "c1"]);
  release[0]?.();
  await until(() => begun.length === 4);
  for (let i = 1; begun.length < 5; i++) {
    await until(() => release[i]);
    release[i]?.();
    await until(() => begun.length >= Math.min(5, i + 3), { timeoutMs: 2_000 });
  }
  expect(begun.indexOf("a2")).toBeGreaterThan(begun.indexOf("a1"));
  for (const resolve of release) resolve();
});

test("a callback that fails is reported and called again; other ids do not wait for it", async () => {
  const { prefix, storage, warnings } = await follow();
  const calls: string[] = [];
  const watching = storage.watch(
    prefix,
    () => {},
    async (id) => {
      calls.push(id);
      if (id === "bad" && calls.filter((call) => call === "bad").length < 3) throw new Error("the disk is full");
    },
  );
  await watching.ready;
  for (const id of ["bad", "good"]) {
    await storage.put(`${prefix}${id}`, "1");
    await storage.delete(`${prefix}${id}`);
  }
  await until(() => calls.filter((call) => call === "bad").length === 3);
  expect(calls.indexOf("good")).toBeLessThan(calls.lastIndexOf("bad"));
  expect(warnings).toHaveLength(2);
  expect(warnings[0]).toMatchObject({ code: "ETCD_LISTENER_FAILED" });
  expect(warnings[0]?.message).toMatch(
    /^onDelete\("bad"\) failed: the disk is full; it is called again in (\d+|0\.\d+) ms$/,
  );
  await storage.put(`${prefix}next`, "1");
  await storage.delete(`${prefix}next`);
  await until(() => calls.includes("next"));
  expect(calls.filter((call) => call === "bad")).toHaveLength(3);
});

test("a put that fails gives way to a newer one, and a deletion behind it is reported all the same", async () => {
  const { prefix, storage } = await follow();
  const received: string[] = [];
  const watching = storage.watch(
    prefix,
    (_id, value) => {
      received.push(`+${value}`);
      if (value !== "good") throw new Error("no");
    },
    (_id, last) => received.push(`-${last}`),
  );
  await watching.ready;
  await storage.put(`${prefix}a`, "bad");
  await until(() => received.length > 0);
  await storage.delete(`${prefix}a`);
  await storage.put(`${prefix}a`, "good");
  await until(() => received.includes("+good"));
  expect(received.filter((what) => what !== "+bad")).toEqual(["-bad", "+good"]);
});

test("deletions during a disconnect and a compaction are reported, each with its last value", async () => {
  await using proxy = await FaultProxy.start(lab.endpoint);
  const { prefix, storage, received, watch } = await follow({}, { endpoints: [proxy.endpoint] });
  const watching = watch();
  await watching.ready;
  await lab.etcd.txn({ success: ["a", "b", "c"].map((id) => putOp(`${prefix}${id}`, `was ${id}`)) });
  await until(() => received.length === 3);
  await proxy.down();
  await until(() => watching.status === "stale");
  await lab.etcd.delete(`${prefix}a`);
  await lab.etcd.delete(`${prefix}b`);
  const { revision } = await lab.etcd.put(`${prefix}b`, "made again");
  await lab.cluster.compact(revision);
  await proxy.up();
  await until(() => received.length === 6);
  expect(received.slice(3).toSorted()).toEqual(["+b=made again", "-a=was a", "-b=was b"]);
  expect(received.indexOf("-b=was b")).toBeLessThan(received.indexOf("+b=made again"));
  expect(await storage.get(`${prefix}b`)).toBe("made again");
});

test("what a wiped etcd no longer has is reported as deleted", async () => {
  await using own = await RegistryLab.start();
  const storage = new Storage({ client: own.client() });
  own.also(() => storage.close());
  const gone: string[] = [];
  const watching = storage.watch(
    "cache/",
    () => {},
    (id, last) => gone.push(`${id}=${last}`),
  );
  await watching.ready;
  await storage.put("cache/a", "1", { ttlSeconds: 600 });
  await own.cluster.wipe();
  await until(() => gone.length > 0, { timeoutMs: 30_000 });
  expect(gone).toEqual(["a=1"]);
  // Its lease went with the wipe, and is replaced.
  await storage.put("cache/b", "2", { ttlSeconds: 600 });
  expect(await storage.get("cache/b")).toBe("2");
});

test("after close() nothing is reported, and what runs is waited for", async () => {
  const { prefix, storage, warnings } = await follow();
  let finish = () => {};
  const received: string[] = [];
  const watching = storage.watch(
    prefix,
    async (id) => {
      received.push(id);
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
    },
    () => {},
    { concurrency: 1 },
  );
  await watching.ready;
  await lab.etcd.txn({ success: ["a", "b"].map((id) => putOp(`${prefix}${id}`, "1")) });
  await until(() => received.length === 1);
  let closed = false;
  const closing = watching.close().then(() => {
    closed = true;
  });
  await lab.etcd.get(`${prefix}a`);
  expect(closed).toBe(false);
  finish();
  await closing;
  await watching.close();
  await lab.etcd.put(`${prefix}c`, "1");
  await lab.etcd.get(`${prefix}c`);
  expect(received).toEqual(["a"]);
  expect(warnings).toEqual([]);
  expect(watching.status).toBe("closed");
});

test("a watch that is closed, or whose signal aborts, before it is ready rejects its ready", async () => {
  const silent = new Storage({ client: lab.client({ endpoints: "http://127.0.0.1:9" }) });
  const nothing = () => {};
  const closed = silent.watch("a/", nothing, nothing);
  await closed.close();
  await expect(closed.ready).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  const controller = new AbortController();
  const aborted = silent.watch("a/", nothing, nothing, { signal: controller.signal });
  controller.abort(new Error("not any more"));
  await expect(aborted.ready).rejects.toThrow("not any more");
  expect(aborted.status).toBe("closed");
  const early = silent.watch("a/", nothing, nothing, { signal: AbortSignal.abort(new Error("too late")) });
  await expect(early.ready).rejects.toThrow("too late");
  await silent.close();
  expect(() => silent.watch("a/", nothing, nothing)).toThrow("the storage was closed");
});

test("a client that is closed ends its watches by `failed`", async () => {
  const client = lab.client();
  const storage = new Storage({ client });
  const failures: Error[] = [];
  storage.on("failed", (error) => failures.push(error));
  const watching = storage.watch(
    lab.newPrefix(),
    () => {},
    () => {},
  );
  await watching.ready;
  await client.close();
  await until(() => failures.length > 0);
  expect(failures).toMatchObject([{ code: "ETCD_CLOSED" }]);
  expect(watching.status).toBe("failed");
});

test("one that a listener of a warning closes warns no more", async () => {
  const { prefix, storage, warnings, watch } = await follow();
  const watching = watch();
  const closed = new Promise<void>((resolve) => storage.on("warning", () => resolve(watching.close())));
  await watching.ready;
  const odd = (last: number) => putOp(Buffer.concat([Buffer.from(prefix), Buffer.of(last)]), "");
  await lab.etcd.txn({ success: [odd(0xfe), odd(0xff)] });
  await closed;
  expect(warnings).toHaveLength(1);
});

test("a key whose name is the prefix itself is left out and reported", async () => {
  const { prefix, received, warnings, watch } = await follow();
  await watch().ready;
  await lab.etcd.put(prefix, "nameless");
  await lab.etcd.put(`${prefix}a`, "1");
  await until(() => received.length === 1);
  expect(received).toEqual(["+a=1"]);
  expect(warnings.map(({ message }) => message)).toEqual([`${prefix} is left out: its name is the prefix itself`]);
  await lab.etcd.delete(prefixOf(prefix));
});
