import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EtcdClient, prefix, putOp } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

describe("big txns and progress", () => {
  let cluster: EtcdCluster;
  let proxy: FaultProxy;
  let writer: EtcdClient;
  let reader: EtcdClient;

  beforeAll(async () => {
    cluster = await startEtcd({
      flags: ["--experimental-watch-progress-notify-interval=200ms", "--max-request-bytes=4194304"],
    });
    proxy = await FaultProxy.start(cluster.member(0).endpoint);
    writer = new EtcdClient({ endpoints: cluster.endpoints });
    reader = new EtcdClient({ endpoints: proxy.endpoint });
  });
  afterAll(async () => {
    await Promise.all([writer.close(), reader.close()]);
    await proxy.close();
    await cluster.close();
  });

  test("txns of 100 operations and 2.5 MB, cut in mid-response, come whole, once and in order", async () => {
    await using watch = reader.watch(prefix("big/"));
    await using mirror = reader.mirror(prefix("big/"));
    await Promise.all([watch.ready, mirror.ready]);
    const recorded = { watch: record(watch), mirror: record(mirror) };
    const value = Buffer.alloc(25_000, "x");
    const revisions: number[] = [];
    for (let txn = 0; txn < 8; txn++) {
      const success = Array.from({ length: 100 }, (_, number) => putOp(`big/${number}`, value));
      // Slow enough for the cut to fall between the fragments.
      proxy.delay(20);
      const { revision } = await writer.txn({ success });
      revisions.push(revision);
      if (txn % 2 === 0) {
        await until(() => recorded.watch.items.some((batch) => batch.revision >= revision) || proxy.connections > 0);
        proxy.cut();
      }
    }
    await proxy.heal();
    const last = revisions.at(-1) ?? 0;
    const whole = () => recorded.watch.items.filter(({ type }) => type === "events");
    await until(() => (whole().at(-1)?.revision ?? 0) >= last && mirror.revision >= last, { timeoutMs: 30_000 });
    const seen = whole().flatMap(({ events }) => events.map(({ kv }) => `${kv.modRevision} ${kv.key}`));
    const expected = revisions.flatMap((revision) =>
      Array.from({ length: 100 }, (_, number) => `${revision} big/${number}`),
    );
    expect(seen).toEqual(expected);
    for (const batch of whole()) {
      const counts = new Map<number, number>();
      for (const { kv } of batch.events) counts.set(kv.modRevision, (counts.get(kv.modRevision) ?? 0) + 1);
      expect([...counts.values()].every((count) => count === 100)).toBe(true);
    }
    for (const { puts, type } of recorded.mirror.items) expect(type === "snapshot" ? 0 : puts.length % 100).toBe(0);
  });

  test("the readers of a mirror get progress as a batch without changes", async () => {
    await using mirror = reader.mirror(prefix("calm/"));
    await mirror.ready;
    const recorded = record(mirror);
    const { revision } = await writer.put("elsewhere/", "");
    await until(() => recorded.items.some((batch) => batch.revision >= revision));
    const { type, puts, deletes } = recorded.items.at(-1) ?? {};
    expect({ type, puts, deletes }).toEqual({ type: "changes", puts: [], deletes: [] });
  });

  test("progress says that nothing is missing up to its revision, and a watch goes on after it", async () => {
    await using watch = reader.watch(prefix("quiet/"));
    await using mirror = reader.mirror(prefix("quiet/"));
    await Promise.all([watch.ready, mirror.ready]);
    const recorded = record(watch);
    const written: number[] = [];
    for (let round = 0; round < 6; round++) {
      const { revision } = await writer.put("elsewhere/", `${round}`);
      const marks = () => recorded.items.filter(({ type }) => type === "progress");
      await until(() => (marks().at(-1)?.revision ?? 0) >= revision && mirror.revision >= revision);
      // The revision that the watch had before this is gone; that of its progress is not.
      await cluster.compact(revision);
      proxy.cut();
      written.push((await writer.put("quiet/a", `${round}`)).revision);
    }
    await until(() => recorded.items.some(({ revision, type }) => type === "events" && revision === written.at(-1)));
    expect(recorded.end).toBeUndefined();
    const events = recorded.items.flatMap((batch) => batch.events);
    expect(events.map(({ kv }) => kv.modRevision)).toEqual(written);
    let bookmark = 0;
    for (const batch of recorded.items) {
      expect(batch.revision).toBeGreaterThan(bookmark);
      for (const { kv } of batch.events) expect(kv.modRevision).toBeGreaterThan(bookmark);
      bookmark = batch.revision;
    }
  });
});
