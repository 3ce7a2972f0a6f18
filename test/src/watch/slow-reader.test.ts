import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EtcdClient, prefix, putOp } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { Replica, stateOf } from "../../support/replica.ts";
import { seeded } from "../../support/seeded.ts";
import { randomOps } from "../../support/store-model.ts";
import { until } from "../../support/until.ts";

describe("a reader that is slower than the events", () => {
  let cluster: EtcdCluster;
  let proxy: FaultProxy;
  let writer: EtcdClient;
  let reader: EtcdClient;
  let space: string;
  let round = 0;

  beforeAll(async () => {
    cluster = await startEtcd();
    proxy = await FaultProxy.start(cluster.member(0).endpoint);
    writer = new EtcdClient({ endpoints: cluster.endpoints });
    reader = new EtcdClient({ endpoints: proxy.endpoint });
  });
  beforeEach(() => {
    space = `round-${++round}/`;
  });
  afterAll(async () => {
    await Promise.all([writer.close(), reader.close()]);
    await proxy.close();
    await cluster.close();
  });

  test("of a watch gets what was buffered, then a WatchOverflowError, then the end", async () => {
    const watch = reader.watch(prefix(space), { maxBufferedEvents: 5 });
    await watch.ready;
    for (let count = 0; count < 6; count++) await writer.put(`${space}a`, `${count}`);
    const last = await writer.put(`${space}a`, "beyond");
    const iterator = watch[Symbol.asyncIterator]();
    const seen: number[] = [];
    const readAll = async () => {
      for (;;) {
        const { value } = await iterator.next();
        if (value) seen.push(...value.events.map(({ kv }) => kv.modRevision));
      }
    };
    // It reads only once the watch has overflowed.
    await using witness = reader.mirror(prefix(space));
    await until(() => witness.revision >= last.revision);
    await expect(readAll()).rejects.toMatchObject({ code: "ETCD_WATCH_OVERFLOW" });
    const first = last.revision - 6;
    expect(seen).toEqual([0, 1, 2, 3, 4, 5].map((offset) => first + offset));
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  test("of a mirror gets one resynced batch that comes to the true state, whatever happened meanwhile", async () => {
    const random = seeded("slow reader");
    const keys = Array.from({ length: 8 }, (_, number) => `${space}${number}`);
    await using mirror = reader.mirror(prefix(space), { maxBufferedChanges: 10 });
    await mirror.ready;
    const readers = [1, 2, 3].map(() => ({ iterator: mirror[Symbol.asyncIterator](), replica: new Replica() }));
    for (const { iterator, replica } of readers) {
      const { value } = await iterator.next();
      if (value) replica.apply(value);
    }
    let resyncs = 0;
    for (let turn = 0; turn < 25; turn++) {
      let revision = mirror.revision;
      for (let writes = random.between(1, 12); writes > 0; writes--) {
        for (const op of randomOps(random, keys, 4)) {
          const done = op.type === "put" ? await writer.put(op.key, op.value) : await writer.delete(op.key);
          revision = done.revision;
        }
      }
      if (random.chance(0.2)) {
        await proxy.down();
        revision = (await writer.put(`${space}outage`, `${turn}`)).revision;
        if (random.chance(0.5)) await cluster.compact(revision);
        await proxy.heal();
      }
      ({ revision } = await writer.put(`${space}marker`, `${turn}`));
      await until(() => mirror.revision >= revision, { message: `the mirror follows; seed ${random.seed}` });
      const truth = stateOf((await writer.range(prefix(space), { revision })).kvs);
      expect(stateOf(mirror.entries.values()), `seed ${random.seed}`).toEqual(truth);
      // One of them stays away for several turns.
      for (const { iterator, replica } of random.chance(0.5) ? readers : readers.slice(1)) {
        for (;;) {
          const { value } = await iterator.next();
          if (!value) break;
          replica.apply(value);
          if (value.type === "resynced") resyncs++;
          if (value.revision >= revision) break;
        }
        expect(stateOf(replica.entries.values()), `seed ${random.seed}, turn ${turn}`).toEqual(truth);
      }
    }
    expect(resyncs).toBeGreaterThan(0);
  });

  test("of a mirror that begins late begins with the entries as they are", async () => {
    await writer.txn({ success: Array.from({ length: 100 }, (_, number) => putOp(`${space}${number}`, "")) });
    await using mirror = reader.mirror(prefix(space), { maxBufferedChanges: 10 });
    await mirror.ready;
    const iterator = mirror[Symbol.asyncIterator]();
    const first = iterator.next();
    const { revision } = await writer.put(`${space}late`, "");
    await until(() => mirror.revision >= revision);
    const late = await mirror[Symbol.asyncIterator]().next();
    expect((await first).value).toMatchObject({ type: "snapshot", puts: { length: 100 } });
    expect(late.value).toMatchObject({ type: "snapshot", revision, puts: { length: 101 } });
    expect((await iterator.next()).value).toMatchObject({ type: "changes", revision });
  });
});
