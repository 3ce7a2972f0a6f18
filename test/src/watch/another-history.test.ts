import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EtcdClient, type Mirror, prefix, type Watch } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { type Recording, record } from "../../support/record.ts";
import { Replica, stateOf } from "../../support/replica.ts";
import { until } from "../../support/until.ts";

describe("an etcd that was wiped under the same flags while the link was down", () => {
  let cluster: EtcdCluster;
  let proxy: FaultProxy;
  let writer: EtcdClient;
  let reader: EtcdClient;

  beforeAll(async () => {
    cluster = await startEtcd();
    proxy = await FaultProxy.start(cluster.member(0).endpoint);
  });
  beforeEach(async () => {
    writer = new EtcdClient({ endpoints: cluster.endpoints });
    reader = new EtcdClient({ endpoints: proxy.endpoint });
    return () => Promise.all([writer.close(), reader.close()]);
  });
  afterAll(async () => {
    await proxy.close();
    await cluster.close();
  });

  /**
   * Keys of a first history, some of which the second one has, too; then the second history, up to `revision` at least.
   */
  async function rewriteHistory(upTo: (revisionBefore: number) => number): Promise<number> {
    const before = (await writer.get("svc/a"))?.modRevision ?? 0;
    await proxy.down();
    await cluster.wipe();
    await writer.put("svc/a", "again");
    await writer.put("svc/c", "new");
    let { revision } = await writer.put("elsewhere", "");
    while (revision < upTo(before)) revision = (await writer.put("elsewhere", "")).revision;
    await proxy.heal();
    return revision;
  }

  async function replicate(mirror: Mirror): Promise<Replica> {
    const replica = new Replica();
    const read = async () => {
      for await (const batch of mirror) replica.apply(batch);
    };
    read().catch(() => {});
    await until(() => replica.batches.length > 0);
    return replica;
  }

  const histories = [
    { name: "below the old revision", upTo: () => 0 },
    { name: "far above the old revision", upTo: (before: number) => before + 40 },
  ];

  for (const { name, upTo } of histories) {
    test(`whose new revision is ${name} ends every kind of watch that has proof, and a mirror lists the exact difference`, async () => {
      await cluster.wipe();
      for (const key of ["svc/a", "svc/b", "svc/d"]) await writer.put(key, "before");
      for (let count = 0; count < 20; count++) await writer.put("elsewhere", "");
      await writer.put("svc/a", "before");
      const mirror = reader.mirror(prefix("svc/"));
      await mirror.ready;
      const replica = await replicate(mirror);
      const old = mirror.entries;
      const startRevision = mirror.revision - 4;
      const watches: Record<string, Watch> = {
        "that has counted its range": reader.watch(prefix("svc/")),
        "that has seen an event": reader.watch(prefix("svc/"), { startRevision }),
      };
      const recorded = new Map<string, Recording<unknown>>();
      for (const [which, watch] of Object.entries(watches)) {
        await watch.ready;
        recorded.set(which, record(watch));
      }
      await until(() => (recorded.get("that has seen an event")?.items.length ?? 0) > 0);
      const empty = reader.mirror(prefix("nothing/"));
      await empty.ready;

      const revision = await rewriteHistory(upTo);
      for (const [which, { ended }] of recorded) {
        expect((await ended).error, `a watch ${which}`).toMatchObject({ code: "ETCD_HISTORY_LOST" });
      }
      await until(() => replica.batches.at(-1)?.type === "resynced" && mirror.status === "live");
      const truth = stateOf((await writer.range(prefix("svc/"))).kvs);
      expect(stateOf(mirror.entries.values())).toEqual(truth);
      expect(stateOf(replica.entries.values())).toEqual(truth);
      const resynced = replica.batches.at(-1);
      expect(resynced?.revision).toBeLessThanOrEqual(revision);
      expect(resynced?.deletes.map(({ key }) => key).sort()).toEqual(["svc/a", "svc/b", "svc/d"]);
      expect(stateOf(resynced?.deletes ?? [])).toEqual(stateOf(old.values()));
      expect(resynced?.puts.map(({ key }) => key).sort()).toEqual(["svc/a", "svc/c"]);

      // And they are not deaf.
      await writer.put("svc/e", "live");
      await writer.put("nothing/a", "live");
      await until(() => mirror.get("svc/e")?.text === "live" && empty.get("nothing/a")?.text === "live");
    });
  }

  test("is noticed by its own entry where the number of keys is the same", async () => {
    await cluster.wipe();
    await writer.put("svc/a", "before");
    await using mirror = reader.mirror(prefix("svc/"));
    await using watch = reader.watch(prefix("svc/"));
    await Promise.all([mirror.ready, watch.ready]);
    const recorded = record(watch);
    await writer.put("svc/a", "seen");
    await until(() => recorded.items.length === 1);
    await proxy.down();
    await cluster.wipe();
    await writer.put("svc/a", "other");
    await writer.put("svc/a", "another");
    for (let count = 0; count < 20; count++) await writer.put("elsewhere", "");
    await proxy.heal();
    expect((await recorded.ended).error).toMatchObject({ code: "ETCD_HISTORY_LOST" });
    await until(() => mirror.get("svc/a")?.text === "another");
  });

  test("is no other history when it was only restarted", async () => {
    await writer.put("svc/a", "kept");
    await using mirror = reader.mirror(prefix("svc/"));
    await using watch = reader.watch(prefix("svc/"));
    await Promise.all([mirror.ready, watch.ready]);
    const recorded = { mirror: record(mirror), watch: record(watch) };
    for (let round = 0; round < 3; round++) {
      await cluster.kill();
      await until(() => mirror.status === "stale");
      expect(mirror.get("svc/a")?.text).toBe(round === 0 ? "kept" : `${round - 1}`);
      await cluster.restart();
      const { revision } = await writer.put("svc/a", `${round}`);
      await until(() => mirror.revision >= revision && recorded.watch.items.at(-1)?.revision === revision);
    }
    expect(recorded.watch.end).toBeUndefined();
    expect(recorded.mirror.items.map(({ type }) => type)).toEqual(["snapshot", "changes", "changes", "changes"]);
  });
});
