import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EtcdClient, prefix } from "../../src/index.ts";
import { findEtcd } from "../../testing/find-etcd.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../testing/index.ts";
import { copyDisk, saveSnapshot, snapshotTools } from "../support/etcd-backup.ts";
import { record } from "../support/record.ts";
import { Replica, stateOf } from "../support/replica.ts";
import { until } from "../support/until.ts";

const withTools = snapshotTools((await findEtcd()).path) !== undefined;

describe.each([
  { backup: copyDisk, of: "a copy of its disk", can: true },
  { backup: saveSnapshot, of: "a snapshot", can: withTools },
])("an etcd that was restored from $of without a bump of its revision", ({ backup, can }) => {
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

  test.runIf(can).each([5, 200])(
    "with %s keys: after another deletion in the place of the lost one the mirror is as etcd is",
    async (count) => {
      const under = `restored-${count}/`;
      const names = [..."ABCDE", ...Array.from({ length: count - 5 }, (_, index) => `more-${index}`)];
      for (const name of names) await writer.put(under + name, name);
      await using saved = await backup(cluster);
      await using mirror = reader.mirror(prefix(under));
      const replica = new Replica();
      (async () => {
        for await (const batch of mirror) replica.apply(batch);
      })().catch(() => {});
      await using watch = reader.watch(prefix(under));
      const recorded = record(watch);
      await Promise.all([mirror.ready, watch.ready]);
      const { revision: lost } = await writer.delete(`${under}A`);
      await until(() => mirror.revision === lost && recorded.items.length > 0);

      await proxy.down();
      await saved.restore();
      const { revision: other } = await until(() => writer.delete(`${under}C`));
      expect(other).toBe(lost);
      const { revision } = await writer.put("elsewhere", "");
      await proxy.heal();

      await until(() => mirror.revision >= revision && mirror.status === "live");
      const truth = stateOf((await writer.range(prefix(under))).kvs);
      expect(truth).toHaveLength(count - 1);
      expect(stateOf(mirror.entries.values())).toEqual(truth);
      expect(mirror.get(`${under}A`)?.text).toBe("A");
      expect(mirror.get(`${under}C`)).toBeUndefined();
      await until(() => replica.batches.at(-1)?.type === "resynced");
      expect(stateOf(replica.entries.values())).toEqual(truth);
      expect((await recorded.ended).error).toMatchObject({ code: "ETCD_HISTORY_LOST" });
      // And it is not deaf.
      await writer.put(`${under}new`, "v");
      await until(() => mirror.get(`${under}new`));
    },
  );
});
