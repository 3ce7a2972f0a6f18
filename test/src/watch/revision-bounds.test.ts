import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EtcdClient, prefix, rangeOp, type WatchBatch } from "../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

// What the doc comments say of revisions, to the very revision.

let cluster: EtcdCluster;
let etcd: EtcdClient;
let round = 0;
let space: string;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient({ endpoints: cluster.endpoints });
});
beforeEach(() => {
  space = `bounds-${++round}/`;
});
afterAll(async () => {
  await etcd.close();
  await cluster.close();
});

const put = async (name: string) => (await etcd.put(space + name, name)).revision;
const remove = async (name: string) => (await etcd.delete(space + name)).revision;
const received = (batches: readonly WatchBatch[]) =>
  batches.flatMap(({ events }) => events.map(({ type, kv }) => `${type} ${kv.key.slice(space.length)}`));

/** What a watch from one revision yields up to another. */
async function watched(startRevision: number, upTo: number): Promise<string[]> {
  await using watch = etcd.watch(prefix(space), { startRevision });
  const { items, ended } = record(watch);
  const rejected = ended.then(({ error }) => {
    if (error) throw error;
  });
  await Promise.race([rejected, until(() => (items.at(-1)?.revision ?? 0) >= upTo)]);
  return received(items);
}

describe("at the revision of a compaction", () => {
  test("the state can be read, the one before cannot", async () => {
    await put("a");
    const compacted = await remove("a");
    await put("b");
    await cluster.compact(compacted);
    expect((await etcd.range(prefix(space), { revision: compacted })).kvs).toEqual([]);
    const before = etcd.range(prefix(space), { revision: compacted - 1 });
    await expect(before).rejects.toMatchObject({ code: "ETCD_COMPACTED", compactRevision: undefined });
  });

  test("a watch is refused, never silent about a deletion there; the next one reports every event", async () => {
    await put("a");
    await put("b");
    const compacted = await remove("a");
    const next = await remove("b");
    await cluster.compact(compacted);
    for (const startRevision of [compacted - 1, compacted]) {
      const refused = watched(startRevision, next);
      await expect(refused).rejects.toMatchObject({ code: "ETCD_COMPACTED", compactRevision: compacted });
      await expect(refused).rejects.toThrow(`${compacted + 1} at the earliest`);
    }
    expect(await watched(compacted + 1, next)).toEqual(["delete b"]);
  });

  test("a watch from the revision after a bookmark goes on, and one from the revision after a list", async () => {
    await put("a");
    await using watch = etcd.watch(prefix(space));
    const reader = watch[Symbol.asyncIterator]();
    await watch.ready;
    await put("b");
    const bookmark = (await reader.next()).value?.revision ?? 0;
    await cluster.compact(bookmark);
    const { revision } = await etcd.range(prefix(space));
    const last = await remove("a");
    expect(await watched(bookmark + 1, last)).toEqual(["delete a"]);
    expect(await watched(revision + 1, last)).toEqual(["delete a"]);
  });

  test("also where the deletion is compacted there after the list: the watch says so", async () => {
    await put("a");
    const { revision } = await etcd.range(prefix(space));
    const last = await remove("a");
    await cluster.compact(last);
    await expect(watched(revision + 1, last)).rejects.toMatchObject({ compactRevision: last });
  });
});

test("a watch begins with its startRevision, and one without begins after what ready says", async () => {
  const first = await put("a");
  await using now = etcd.watch(prefix(space));
  const { items } = record(now);
  expect(await now.ready).toBe(first);
  const second = await put("b");
  const third = await remove("a");
  expect(await watched(second, third)).toEqual(["put b", "delete a"]);
  expect(await watched(third, third)).toEqual(["delete a"]);
  await until(() => items.at(-1)?.revision === third);
  expect(received(items)).toEqual(["put b", "delete a"]);
  // Also one that does not exist yet.
  const later = etcd.watch(prefix(space), { startRevision: third + 2 });
  await later.ready;
  const recorded = record(later);
  await put("too early");
  const last = await put("in time");
  await until(() => recorded.items.at(-1)?.revision === last);
  expect(received(recorded.items)).toEqual(["put in time"]);
  await later.close();
});

test("the newest revision can be read, the next one not yet", async () => {
  const newest = await put("a");
  expect((await etcd.get(`${space}a`, { revision: newest }))?.modRevision).toBe(newest);
  await expect(etcd.get(`${space}a`, { revision: newest + 1 })).rejects.toMatchObject({ code: "ETCD_FUTURE_REVISION" });
});

test("an event has the revision of its change, and the state before it also right after a compaction", async () => {
  const made = await put("a");
  await cluster.compact(made);
  await using watch = etcd.watch(prefix(space), { startRevision: made + 1, previous: true });
  const deleted = await remove("a");
  const { value } = await watch[Symbol.asyncIterator]().next();
  expect(value).toMatchObject({ revision: deleted, events: [{ kv: { modRevision: deleted } }] });
  expect(value?.events[0]?.previous?.modRevision).toBe(made);
});

test("maxCreateRevision has the keys in it that were made at that revision", async () => {
  await put("a");
  const made = await put("b");
  await put("c");
  const { responses } = await etcd.txn({ success: [rangeOp(prefix(space), { maxCreateRevision: made })] });
  const [answer] = responses;
  expect(answer?.type === "range" && answer.kvs.map(({ key }) => key.slice(space.length))).toEqual(["a", "b"]);
});

test("a mirror is at the revision of its list, then at that of the last change", async () => {
  const listed = await put("a");
  await using mirror = etcd.mirror(prefix(space));
  await mirror.ready;
  expect(mirror.revision).toBe(listed);
  const changed = await remove("a");
  await until(() => mirror.revision === changed);
  expect(mirror.size).toBe(0);
});
