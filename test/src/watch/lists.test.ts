import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EtcdClient, prefix, putOp } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { record } from "../../support/record.ts";
import { Replica, stateOf } from "../../support/replica.ts";
import { until } from "../../support/until.ts";

describe("what a mirror can hold", () => {
  let cluster: EtcdCluster;
  let proxy: FaultProxy;
  let writer: EtcdClient;
  let reader: EtcdClient;

  beforeAll(async () => {
    cluster = await startEtcd();
    proxy = await FaultProxy.start(cluster.member(0).endpoint);
    writer = new EtcdClient({ endpoints: cluster.endpoints });
    reader = new EtcdClient({ endpoints: proxy.endpoint });
  });
  afterAll(async () => {
    await Promise.all([writer.close(), reader.close()]);
    await proxy.close();
    await cluster.close();
  });

  test("20 000 keys are listed at one revision while they change, and followed from it", async () => {
    const key = (number: number) => `many/${String(number).padStart(5, "0")}`;
    for (let from = 0; from < 20_000; from += 100) {
      const success = Array.from({ length: 100 }, (_, offset) => putOp(key(from + offset), "first"));
      await writer.txn({ success });
    }
    let writing = true;
    let last = 0;
    const write = async () => {
      for (let number = 0; writing; number = (number + 7_919) % 20_000) {
        // Both or none: a list that is read page by page must not show the one without the other.
        const pair = [key(number), key(19_999 - number)].map((name) => putOp(name, `${number}`));
        last = (await writer.txn({ success: pair })).revision;
      }
    };
    const written = write();
    await using mirror = reader.mirror(prefix("many/"));
    const replica = new Replica();
    for await (const batch of mirror) {
      replica.apply(batch);
      const listed = [...replica.entries.values()];
      expect(listed).toHaveLength(20_000);
      const torn = listed.filter(({ text }, index) => text !== "first" && listed[19_999 - index]?.text !== text);
      expect(torn).toEqual([]);
      break;
    }
    writing = false;
    await written;
    await until(() => mirror.revision >= last);
    expect(stateOf(mirror.entries.values())).toEqual(stateOf((await writer.range(prefix("many/"))).kvs));
    expect(mirror.size).toBe(20_000);
  });

  test("keys that are not UTF-8, and those that look like their names, all have a place of their own", async () => {
    const names = [
      [0xff],
      [0xfe],
      [0xff, 0x61],
      [0xc3, 0x28],
      [...Buffer.from("\ufffd")],
      [...Buffer.from("\ufffdff")],
    ];
    const keys = names.map((bytes) => Buffer.from([...Buffer.from("raw/"), ...bytes]));
    for (const [index, key] of keys.entries()) await writer.put(key, `${index}`);
    await using mirror = reader.mirror(prefix("raw/"));
    await mirror.ready;
    const recorded = record(mirror);
    expect(stateOf(mirror.entries.values())).toEqual(stateOf((await writer.range(prefix("raw/"))).kvs));
    // As text, which those have that are UTF-8.
    expect(["raw/\ufffd", "raw/\ufffdff", "raw/a"].map((key) => mirror.get(key)?.text)).toEqual(["4", "5", undefined]);
    // The name of another key is the text of none.
    expect([...mirror.entries.keys()].filter((name) => mirror.get(name)?.text)).toEqual([]);
    proxy.cut();
    const { revision } = await writer.delete(keys[1] as Buffer);
    await until(() => mirror.revision >= revision);
    expect([...mirror.entries.values()].map(({ text }) => text).sort()).toEqual(["0", "2", "3", "4", "5"]);
    await until(() => recorded.items.length > 1);
    expect(recorded.items[1]?.deletes.map(({ text }) => text)).toEqual(["1"]);
  });

  test("bulk reads beside a watch have a connection of their own, and every event comes", async () => {
    await using ownProxy = await FaultProxy.start(cluster.member(0).endpoint);
    await using reader = new EtcdClient({ endpoints: ownProxy.endpoint });
    for (let number = 0; number < 20; number++) await writer.put(`bulk/${number}`, Buffer.alloc(100_000));
    await using watch = reader.watch("beside");
    await watch.ready;
    const iterator = watch[Symbol.asyncIterator]();
    let reading = true;
    let reads = 0;
    const bulk = Array.from({ length: 3 }, async () => {
      for (; reading; reads++) await reader.range(prefix("bulk/"), { timeoutMs: 30_000 });
    });
    for (let number = 0; number < 50; number++) {
      const { revision } = await writer.put("beside", `${number}`);
      const { value } = await iterator.next();
      expect(value).toMatchObject({ revision });
    }
    await until(() => reads > 0);
    reading = false;
    await Promise.all(bulk);
    expect(ownProxy.connections).toBe(2);
    await writer.delete(prefix("bulk/"));
  });
});
