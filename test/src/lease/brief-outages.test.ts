import { monitorEventLoopDelay } from "node:perf_hooks";
import { expect, test } from "vitest";
import { EtcdClient } from "../../../src/index.ts";
import { FaultProxy, startEtcd } from "../../../testing/index.ts";
import { until } from "../../support/until.ts";

const TTL_SECONDS = 2;
const LEASES = 80;

test("of many leases on one endpoint none is lost that had time enough when etcd came back after half a TTL", async () => {
  await using cluster = await startEtcd();
  const endpoint = cluster.member(0).endpoint;
  await using proxy = await FaultProxy.start(endpoint);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  await using beside = new EtcdClient({ endpoints: endpoint });
  await beside.get("k");
  const judged = { survived: 0, lost: 0 };
  for (let outage = 0; outage < 4; outage++) {
    const leases = await Promise.all(
      Array.from({ length: LEASES / 4 }, async (_, i) => {
        // Renewals that come one after the other, so that the outage meets leases with any time left.
        await new Promise((resolve) => setTimeout(resolve, i * 30));
        // On a very busy machine it can take longer than the TTL.
        return until(() => etcd.grantLease(TTL_SECONDS), { timeoutMs: 60_000 });
      }),
    );
    // How late this machine is at the moment: a lease whose time goes by while nothing runs is not what this is about.
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    await proxy.down();
    const downAt = performance.now();
    await until(() => performance.now() - downAt >= TTL_SECONDS * 500);
    await proxy.up();
    const upAt = performance.now();
    const left = leases.map((lease) => ({ lease, remainingMs: lease.remainingMs() }));
    await beside.get("k");
    const probeMs = performance.now() - upAt;
    const isDecided = ({ lease, remainingMs }: (typeof left)[number]) =>
      lease.signal.aborted || lease.remainingMs() > remainingMs;
    await until(() => left.every(isDecided), { timeoutMs: 60_000 });
    delay.disable();
    const enoughMs = 100 + (4 * delay.max) / 1e6 + 4 * probeMs;
    for (const { lease, remainingMs } of left) {
      if (remainingMs < enoughMs) continue;
      judged[lease.signal.aborted ? "lost" : "survived"]++;
    }
    await Promise.all(leases.map((lease) => lease.revoke()));
  }
  expect(judged.lost, JSON.stringify(judged)).toBe(0);
});
