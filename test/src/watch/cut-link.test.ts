import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EtcdClient, prefix, putOp } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { watcherCounts } from "../../support/gateway/index.ts";
import { record } from "../../support/record.ts";
import { Replica, stateOf } from "../../support/replica.ts";
import { seeded } from "../../support/seeded.ts";
import { until } from "../../support/until.ts";

describe("a link that is cut again and again", () => {
  let cluster: EtcdCluster;
  let proxy: FaultProxy;
  let writer: EtcdClient;

  beforeAll(async () => {
    cluster = await startEtcd();
    proxy = await FaultProxy.start(cluster.member(0).endpoint);
    writer = new EtcdClient({ endpoints: cluster.endpoints });
  });
  afterAll(async () => {
    await writer.close();
    await proxy.close();
    await cluster.close();
  });

  test("30 000 puts through it arrive at a watch complete, in order and once, and a mirror is true", async () => {
    const random = seeded("cut link");
    await using reader = new EtcdClient({ endpoints: proxy.endpoint });
    await using watch = reader.watch(prefix("puts/"));
    await using mirror = reader.mirror(prefix("puts/"));
    await Promise.all([watch.ready, mirror.ready]);
    const recorded = record(watch);
    const replica = new Replica();
    const replicated = (async () => {
      for await (const batch of mirror) replica.apply(batch);
    })();
    let writing = true;
    const cuts = (async () => {
      // Not until all has arrived: on a busy machine nothing may come through between two cuts.
      for (let count = 0; writing || count < 60; count++) {
        await sleep(random.between(20, 140));
        proxy.cut();
      }
    })();

    const written: { revision: number; key: string; value: string }[] = [];
    let number = 0;
    const write = async () => {
      while (number < 30_000) {
        const puts = Array.from({ length: random.between(1, 20) }, () => ({
          key: `puts/${number % 500}`,
          value: `${number++}`,
        }));
        const { revision } = await writer.txn({ success: puts.map(({ key, value }) => putOp(key, value)) });
        for (const put of puts) written.push({ revision, ...put });
      }
    };
    await Promise.all(Array.from({ length: 16 }, write)).finally(() => {
      writing = false;
    });
    await cuts;
    // The sort is stable: the operations of a txn keep their order.
    written.sort((a, b) => a.revision - b.revision);
    const last = written.at(-1)?.revision ?? 0;
    await until(() => recorded.end || (recorded.items.at(-1)?.revision ?? 0) >= last, {
      timeoutMs: 30_000,
      message: () => `all arrives; seed ${random.seed}, at ${recorded.items.at(-1)?.revision} of ${last}`,
    });
    const seen = recorded.items.flatMap(({ events }) =>
      events.map(({ kv }) => ({ revision: kv.modRevision, key: kv.key, value: kv.text })),
    );
    expect(recorded.end, `seed ${random.seed}`).toBeUndefined();
    expect(seen.length, `seed ${random.seed}`).toBe(written.length);
    expect(seen, `seed ${random.seed}`).toEqual(written);

    const truth = await writer.range(prefix("puts/"));
    await until(() => mirror.revision >= last);
    expect(stateOf(mirror.entries.values()), `seed ${random.seed}`).toEqual(stateOf(truth.kvs));
    await mirror.close();
    await replicated;
    expect(stateOf(replica.entries.values()), `seed ${random.seed}`).toEqual(stateOf(truth.kvs));
    expect(proxy.accepted, "the link was cut under the reader").toBeGreaterThan(4);
  });

  test("500 watches on one client share one stream, and all survive a cut", async () => {
    await using reader = new EtcdClient({ endpoints: proxy.endpoint });
    const watches = Array.from({ length: 500 }, (_, number) => reader.watch(`one/${number}`));
    await Promise.all(watches.map((watch) => watch.ready));
    expect(await watcherCounts(cluster.member(0).endpoint)).toEqual({ watchers: 500, streams: 1 });
    const recorded = watches.map((watch) => record(watch));
    proxy.cut();
    await Promise.all(watches.map((_, number) => writer.put(`one/${number}`, `${number}`, { timeoutMs: 30_000 })));
    await until(() => recorded.every(({ items }) => items.length > 0), { timeoutMs: 20_000 });
    const seen = recorded.map(({ items }) => items.flatMap(({ events }) => events.map(({ kv }) => kv.text)));
    expect(seen).toEqual(watches.map((_, number) => [`${number}`]));
    await until(async () => {
      const { watchers, streams } = await watcherCounts(cluster.member(0).endpoint);
      return watchers === 500 && streams === 1;
    });
  });
});
