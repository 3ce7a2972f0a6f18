import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { EtcdClient, keyRange, prefix } from "../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";

// What is called with bytes is about these bytes, whatever their owner writes over them as soon as the call was made.

let cluster: EtcdCluster;
let etcd: EtcdClient;
let key: Buffer;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient({ endpoints: cluster.endpoints });
  await etcd.put("reused/a", "a");
});
beforeEach(() => {
  key = Buffer.from("reused/a");
});
afterAll(async () => {
  await etcd?.close();
  await cluster?.close();
});

test("a get reads the key that it was called with", async () => {
  const first = etcd.get(key);
  key.write("reused/b");
  const second = etcd.get(key);
  expect([(await first)?.key, (await second)?.key]).toEqual(["reused/a", undefined]);
});

test("a software transaction writes the values that it was called with", async () => {
  const value = Buffer.from("first");
  await etcd.stm(async (tx) => {
    tx.put("reused/stm/1", value);
    value.write("again");
    tx.put("reused/stm/2", value);
    value.fill(0);
  });
  const { kvs } = await etcd.range(prefix("reused/stm/"));
  expect(kvs.map(({ text }) => text)).toEqual(["first", "again"]);
});

test("a list goes on in the range that it was called with", async () => {
  await Promise.all(Array.from({ length: 100 }, (_, i) => etcd.put(`reused/${100 + i}`, "v")));
  const end = Buffer.from("reused/2");
  const listing = etcd.range(keyRange("reused/1", end));
  end.fill(0xff);
  expect((await listing).kvs).toHaveLength(100);
});

test("a watch and a mirror follow the key that they were called with", async () => {
  await using watch = etcd.watch(key);
  await using mirror = etcd.mirror(key);
  key.fill(0);
  await Promise.all([watch.ready, mirror.ready]);
  expect(mirror.get("reused/a")?.text).toBe("a");
  const { revision } = await etcd.put("reused/a", "again");
  expect((await watch[Symbol.asyncIterator]().next()).value).toMatchObject({ type: "events", revision });
});
