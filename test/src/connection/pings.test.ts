import { expect, test } from "vitest";
import { EtcdClient, prefix } from "../../../src/index.ts";
import { FaultProxy, startEtcd } from "../../../testing/index.ts";
import { until } from "../../support/until.ts";

// HARDSHIPS 12: etcd ends connections that ping more often than every 5 s, or while nothing is under way on them.

test("a watch that hears nothing, and calls now and then, keep their connections: no GOAWAY for too many pings", async () => {
  await using cluster = await startEtcd();
  await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  const watch = etcd.watch(prefix("silent/"));
  await watch.ready;
  await etcd.get("k");
  const { accepted } = proxy;
  // Three pings of the watch, and the idle connection for calls waking up again and again; a third ping too many ends
  // it.
  const end = performance.now() + 21_000;
  await until(
    async () => {
      await etcd.get("k");
      return performance.now() > end;
    },
    { timeoutMs: 30_000 },
  );
  expect(proxy.accepted).toBe(accepted);
  expect(proxy.connections).toBe(2);
  await watch.close();
});
