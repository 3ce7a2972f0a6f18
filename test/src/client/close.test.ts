import { afterAll, beforeAll, expect, test } from "vitest";
import { defaultClient, EtcdClient, prefix, setDefaultClient } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { leaseRemaining } from "../../support/gateway/index.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

let cluster: EtcdCluster;
let endpoint: string;

beforeAll(async () => {
  cluster = await startEtcd();
  endpoint = cluster.member(0).endpoint;
});
afterAll(() => cluster.close());

const closed = { name: "ClientClosedError", code: "ETCD_CLOSED", retryable: false };

function everyCall(etcd: EtcdClient): Promise<unknown>[] {
  return [
    etcd.get("k"),
    etcd.range(prefix("k")),
    etcd.put("k", "v"),
    etcd.delete("nothing"),
    etcd.txn({}),
    etcd.grantLease(30),
    etcd.status(),
  ];
}

test("calls under way when the client is closed fail with ETCD_CLOSED", async () => {
  await using proxy = await FaultProxy.start(endpoint);
  const etcd = new EtcdClient({ endpoints: proxy.endpoint, requestTimeoutMs: 60_000 });
  await etcd.get("k");
  proxy.blackHole();
  const calls = everyCall(etcd).map(outcomeOf);
  await etcd.close();
  for (const call of calls) expect((await call).error).toMatchObject(closed);
});

test("calls that connect or pause between attempts when the client is closed fail with ETCD_CLOSED", async () => {
  await using proxy = await FaultProxy.start(endpoint);
  for (const breakIt of [() => proxy.down(), async () => proxy.blackHole()]) {
    await breakIt();
    const etcd = new EtcdClient({ endpoints: proxy.endpoint, requestTimeoutMs: 60_000 });
    const calls = everyCall(etcd).map(outcomeOf);
    await outcomeOf(etcd.get("k", { timeoutMs: 100 }));
    await etcd.close();
    for (const call of calls) expect((await call).error).toMatchObject(closed);
  }
});

test("everything fails with ETCD_CLOSED from the moment that close() is called", async () => {
  const etcd = new EtcdClient({ endpoints: endpoint });
  await etcd.grantLease(30);
  const closing = etcd.close();
  expect(etcd.closed).toBe(true);
  for (const when of ["while it closes", "after it"]) {
    for (const call of everyCall(etcd)) expect((await outcomeOf(call)).error, when).toMatchObject(closed);
    expect(() => etcd.watch("k")).toThrow(expect.objectContaining(closed));
    expect(() => etcd.mirror("k")).toThrow(expect.objectContaining(closed));
    await closing;
  }
});

test("close() may be called again, also at the same time and on a client that was never used", async () => {
  const etcd = new EtcdClient({ endpoints: endpoint });
  const closing = [etcd.close(), etcd.close()];
  await Promise.all(closing);
  await etcd.close();
  await etcd[Symbol.asyncDispose]();
});

test("a listener of the end may close the client, too: its leases are revoked all the same", async () => {
  const etcd = new EtcdClient({ endpoints: endpoint });
  const closedWhenTold: boolean[] = [];
  const onStatus = (status: string) => {
    if (status !== "failed") return;
    closedWhenTold.push(etcd.closed);
    void etcd.close();
  };
  await etcd.mirror(prefix("k"), { onStatus }).ready;
  const lease = await etcd.grantLease(300);
  await etcd.close();
  expect(await leaseRemaining(endpoint, lease.id)).toBe(-1);
  expect(closedWhenTold).toEqual([true]);
});

test("close() leaves no connection behind", async () => {
  await using proxy = await FaultProxy.start(endpoint);
  const etcd = new EtcdClient({ endpoints: proxy.endpoint });
  const watch = etcd.watch(prefix("k"));
  await watch.ready;
  await etcd.grantLease(30);
  await etcd.get("k");
  expect(proxy.connections).toBeGreaterThan(0);
  await etcd.close();
  await until(() => proxy.connections === 0);
});

test("300 clients that come and go, some of them from a server that freezes, leave no handle behind", async () => {
  await using proxy = await FaultProxy.start(endpoint);
  const ours = () => process.getActiveResourcesInfo().filter((kind) => /TCP|Timeout/.test(kind)).length;
  const round = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const etcd = new EtcdClient({ endpoints: proxy.endpoint, requestTimeoutMs: 1_000 });
      const watch = etcd.watch("k");
      await watch.ready;
      const lease = await etcd.grantLease(30);
      await lease.revoke();
      if (i % 50 === 0) {
        proxy.blackHole();
        await outcomeOf(etcd.get("k", { timeoutMs: 100 }));
        await etcd.close();
        await proxy.heal();
      }
      await etcd.close();
    }
    await until(() => proxy.connections === 0);
  };
  await round(10);
  const before = ours();
  await round(300);
  await until(() => ours() <= before + 2, { message: () => process.getActiveResourcesInfo().join() });
});

test("the shared client is one client, until it is closed or another is set", async () => {
  setDefaultClient({ endpoints: endpoint });
  const first = defaultClient();
  expect(defaultClient()).toBe(first);
  await first.put("shared", "v");
  await first.close();
  const second = defaultClient();
  expect(second).not.toBe(first);
  await second.close();
  await using mine = new EtcdClient({ endpoints: endpoint });
  setDefaultClient(mine);
  expect(defaultClient()).toBe(mine);
  expect(() => setDefaultClient({ endpoints: "ftp://nonsense" })).toThrow(
    expect.objectContaining({ code: "ETCD_INVALID_OPTION" }),
  );
  expect(defaultClient()).toBe(mine);
});
