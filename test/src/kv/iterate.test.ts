import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, type IterateOptions, prefix, putOp } from "../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";

const keys = 2_000;
const filler = "x".repeat(4_096);
const big = prefix("big/");

let cluster: EtcdCluster;
let etcd: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient({ endpoints: cluster.endpoints, requestTimeoutMs: 20_000 });
  for (let first = 0; first < keys; first += 100) {
    await etcd.txn({ success: Array.from({ length: 100 }, (_, i) => putOp(nameOf(first + i), `${filler}`)) });
  }
});
afterAll(async () => {
  await etcd.close();
  await cluster.close();
});

const nameOf = (number: number) => `big/${String(number).padStart(5, "0")}`;

async function namesOf(options: IterateOptions = {}, client = etcd): Promise<string[]> {
  const names: string[] = [];
  for await (const { key } of client.iterate(big, options)) names.push(key);
  return names;
}

const all = Array.from({ length: keys }, (_, i) => nameOf(i));

test("a range of many pages comes key by key, at one revision, while it is written", async () => {
  const found: [string, number][] = [];
  for await (const kv of etcd.iterate(big)) {
    if (found.length === 0) await etcd.txn({ success: [putOp(nameOf(keys - 1), "later"), putOp("big/z", "new")] });
    found.push([kv.key, kv.value.length]);
  }
  await etcd.txn({ success: [putOp(nameOf(keys - 1), filler)] });
  await etcd.delete("big/z");
  expect(found).toEqual(all.map((name) => [name, filler.length]));
});

test("the order is the one that is asked for, also from the end", async () => {
  expect(await namesOf({ sort: { target: "key", order: "descend" }, keysOnly: true })).toEqual(all.toReversed());
  expect(await namesOf({ sort: { target: "key", order: "descend" }, limit: 40 })).toEqual(
    all.toReversed().slice(0, 40),
  );
  const byCreation = await namesOf({ sort: { target: "createRevision", order: "descend" }, keysOnly: true });
  expect(byCreation.slice(0, 100)).toEqual(all.slice(-100));
});

test("bounds of revisions leave keys out over many pages, too", async () => {
  const { createRevision } = (await etcd.get(nameOf(keys / 2))) ?? { createRevision: 0 };
  expect(await namesOf({ minCreateRevision: createRevision })).toEqual(all.slice(keys / 2));
  expect(await namesOf({ maxCreateRevision: createRevision - 1, limit: 50 })).toEqual(all.slice(0, 50));
});

test("a compaction in its middle ends it with a CompactedError", async () => {
  const read = async () => {
    for await (const { key } of etcd.iterate(big)) {
      if (key !== nameOf(0)) continue;
      const { revision } = await etcd.put("moves", "on");
      await etcd.compact(revision, { physical: true });
    }
  };
  expect(await etcdErrorOf(read())).toMatchObject({
    code: "ETCD_COMPACTED",
    message: expect.stringContaining("iterate"),
  });
});

test("an abort ends it with its reason, and a bad option is refused at once", async () => {
  const abort = new AbortController();
  const read = async () => {
    for await (const _ of etcd.iterate(big, { signal: abort.signal })) abort.abort(new Error("enough"));
  };
  await expect(read()).rejects.toThrow("enough");
  expect(() => etcd.iterate(big, { sort: { by: "key", order: "ascend" } } as never)).toThrow("sort");
  expect(() => etcd.iterate(big, { keysonly: true } as never)).toThrow('did you mean "keysOnly"');
});

test("what is compacted cannot be read any more, nor compacted again", async () => {
  const { revision } = await etcd.put("old", "1");
  await etcd.put("old", "2");
  await etcd.compact(revision + 1, { physical: true });
  await expect(etcd.get("old", { revision })).rejects.toMatchObject({ code: "ETCD_COMPACTED" });
  await expect(etcd.compact(revision)).rejects.toMatchObject({ code: "ETCD_COMPACTED" });
  await expect(etcd.compact(2 ** 50)).rejects.toMatchObject({ code: "ETCD_FUTURE_REVISION" });
  await expect(etcd.compact(0)).rejects.toMatchObject({ code: "ETCD_INVALID_OPTION", option: "revision" });
});
