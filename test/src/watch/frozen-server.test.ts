import type { AddressInfo } from "node:net";
import { createServer, type Socket } from "node:net";
import { afterAll, beforeAll, describe, test } from "vitest";
import { EtcdClient, type Mirror, type MirrorStatus, prefix } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { record } from "../../support/record.ts";
import { stateOf } from "../../support/replica.ts";
import { until } from "../../support/until.ts";

/** A dead link is found by a ping that is not answered within 2 s; then comes the next endpoint. */
const noticed = { timeoutMs: 20_000 };

// All of them mostly wait for pings.
describe.concurrent("a server that keeps its connections and says nothing", () => {
  let cluster: EtcdCluster;
  let writer: EtcdClient;

  beforeAll(async () => {
    cluster = await startEtcd();
    writer = new EtcdClient({ endpoints: cluster.endpoints });
  });
  afterAll(async () => {
    await writer.close();
    await cluster.close();
  });

  test("makes a mirror stale, its entries kept with their age, and live again when the link is back", async ({
    expect,
  }) => {
    await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
    await using reader = new EtcdClient({ endpoints: proxy.endpoint });
    await writer.put("held/a", "kept");
    const received: { status: MirrorStatus; code: string | undefined }[] = [];
    await using mirror: Mirror = reader.mirror(prefix("held/"), {
      onStatus: (status, error) => received.push({ status, code: error?.code }),
    });
    await using watch = reader.watch(prefix("held/"));
    await Promise.all([mirror.ready, watch.ready]);
    const recorded = record(watch);
    expect(mirror.staleForMs).toBe(0);
    const before = stateOf(mirror.entries.values());
    proxy.blackHole();
    await writer.put("held/b", "missed");
    await until(() => mirror.status === "stale", noticed);
    const age = mirror.staleForMs;
    await until(() => mirror.staleForMs > age);
    expect(stateOf(mirror.entries.values())).toEqual(before);
    await proxy.heal();
    const { revision } = await writer.put("held/c", "after");
    await until(() => mirror.revision >= revision && recorded.items.at(-1)?.revision === revision, noticed);
    expect(mirror.status).toBe("live");
    expect(mirror.staleForMs).toBe(0);
    expect([...mirror.entries.keys()]).toEqual(["held/a", "held/b", "held/c"]);
    expect(recorded.items.flatMap(({ events }) => events.map(({ kv }) => kv.key))).toEqual(["held/b", "held/c"]);
    expect(received).toEqual([
      { status: "live", code: undefined },
      { status: "stale", code: "ETCD_UNAVAILABLE" },
      { status: "live", code: undefined },
    ]);
  });

  for (const direction of ["toServer", "toClient"] as const) {
    test(`and loses only what goes ${direction}, is left for one that speaks`, async ({ expect }) => {
      await using frozen = await FaultProxy.start(cluster.member(0).endpoint);
      await using healthy = await FaultProxy.start(cluster.member(0).endpoint);
      await using reader = new EtcdClient({ endpoints: [frozen.endpoint, healthy.endpoint] });
      await using mirror = reader.mirror(prefix(`${direction}/`));
      await mirror.ready;
      const [connected, other] = frozen.connections > 0 ? [frozen, healthy] : [healthy, frozen];
      expect(other.connections).toBe(0);
      connected.blackHole(direction);
      await until(() => other.connections > 0, noticed);
      const { revision } = await writer.put(`${direction}/a`, "");
      await until(() => mirror.revision >= revision && mirror.status === "live", noticed);
    });
  }

  test("from the beginning is left for one that speaks", async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => sockets.add(socket.on("error", () => {})));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as AddressInfo;
    try {
      const { endpoint } = cluster.member(0);
      const endpoints = [endpoint.replace(/\d+$/, String(port)), endpoint];
      // A client begins with whichever it draws.
      while (sockets.size === 0) {
        await using reader = new EtcdClient({ endpoints, dialTimeoutMs: 500 });
        await using mirror = reader.mirror(prefix("silent/"));
        await mirror.ready;
        const { revision } = await writer.put("silent/a", "");
        await until(() => mirror.revision >= revision && mirror.status === "live");
      }
    } finally {
      for (const socket of sockets) socket.destroy();
      silent.close();
    }
  });
});
