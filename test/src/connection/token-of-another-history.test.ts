import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { EtcdClient, prefix } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { requestsServed, watcherCounts } from "../../support/gateway/index.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

// HARDSHIPS 5 and 10: a simple token names the raft index at which it was made, and etcd answers no call with it before
// it has come so far. One that was wiped may never: it neither takes the token nor refuses it.

let cluster: EtcdCluster;
let endpoint: string;
let proxy: FaultProxy;
let etcd: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd({ auth: true });
  endpoint = cluster.member(0).endpoint;
  proxy = await FaultProxy.start(endpoint);
});
beforeEach(async () => {
  await using writer = new EtcdClient(cluster.clientOptions);
  for (let count = 0; count < 300; count++) await writer.put("history", String(count), { batch: false });
  etcd = new EtcdClient({ ...cluster.clientOptions, endpoints: proxy.endpoint });
  await etcd.get("history");
  return () => etcd.close();
});
afterAll(async () => {
  await proxy.close();
  await cluster.close();
});

/** The client sees nothing of the time in which the new etcd has no users yet. */
async function wipe(): Promise<void> {
  await proxy.down();
  await cluster.wipe();
  await proxy.up();
}

test.each(["read", "write"])(
  "a client whose token is of another history gets a new one before its first %s",
  async (kind) => {
    await wipe();
    const { error, tookMs } = await outcomeOf<unknown>(
      kind === "read" ? etcd.get("history") : etcd.put("history", "v"),
    );
    expect(error).toBeUndefined();
    expect(tookMs).toBeLessThan(4_000);
  },
);

test("a watch that makes no calls is followed again, with a new token", async () => {
  await using watch = etcd.watch(prefix("far/"), { startRevision: 1_000_000 });
  await watch.ready;
  await wipe();
  await until(async () => (await watcherCounts(endpoint)).watchers === 1);
});

test("calls that were about to leave on a connection that others give up leave on the next one", async () => {
  await proxy.down();
  await outcomeOf(etcd.get("history", { timeoutMs: 200 }));
  proxy.delay(400);
  await proxy.up();
  // Its attempts may take 600 ms, a round trip takes 800.
  const hasty = outcomeOf(etcd.status({ timeoutMs: 1_800 }));
  const [read, write] = await Promise.all([etcd.get("history"), etcd.put("history", "v")].map(outcomeOf<unknown>));
  proxy.delay(0);
  expect([read?.error, write?.error]).toEqual([undefined, undefined]);
  expect((await hasty).error).toMatchObject({ retryable: true });
});

test("neither a connection made anew nor a member that does not answer is a reason for a new token", async () => {
  const tokens = async () => (await requestsServed(endpoint)).Authenticate ?? 0;
  const before = await tokens();
  for (let round = 0; round < 3; round++) {
    proxy.cut();
    await until(() => etcd.get("history"));
    await cluster.member(0).pause();
    const puts = Array.from({ length: 20 }, (_, index) => etcd.put(`frozen/${index}`, "v", { timeoutMs: 600 }));
    await Promise.all(puts.map(outcomeOf));
    await cluster.member(0).resume();
    await until(() => etcd.get("history"));
  }
  expect(await tokens()).toBe(before);
});
