import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { startSilentServer } from "../../support/silent-server.ts";
import { until } from "../../support/until.ts";

// All calls of a client share one connection for each endpoint: what one of them does must not hurt the others.

let cluster: EtcdCluster;

beforeAll(async () => {
  cluster = await startEtcd();
});
afterAll(() => cluster.close());

test("a call with little time does not wait for a dial that another call began", async () => {
  await using silent = await startSilentServer();
  await using etcd = new EtcdClient({ endpoints: silent.endpoint });
  const patient = outcomeOf(etcd.get("k", { timeoutMs: 5_000 }));
  await until(() => silent.connections > 0);
  const hasty = await outcomeOf(etcd.get("k", { timeoutMs: 100 }));
  // With a user it waits for the token that the other call asks for.
  expect(hasty.error).toMatchObject({ code: process.env.ETCD_USERNAME ? "ETCD_TIMEOUT" : "ETCD_UNAVAILABLE" });
  expect(hasty.tookMs).toBeLessThan(1_000);
  await etcd.close();
  expect((await patient).error).toMatchObject({ code: "ETCD_CLOSED" });
});

test("calls with little time do not end a dial that takes longer, so that it is there in the end", async () => {
  await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
  proxy.delay(150);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  // A dial takes two round trips of 300 ms, each of these calls waits for a third of 100 ms.
  await until(async () => {
    await outcomeOf(etcd.get("k", { timeoutMs: 100 }));
    return (await outcomeOf(etcd.get("k", { timeoutMs: 1_000 }))).error === undefined;
  });
  expect(proxy.accepted).toBe(1);
});

test("a link that needs more than dialTimeoutMs is connected in the end: each dial has more time than the last", async () => {
  await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
  proxy.delay(250);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint, dialTimeoutMs: 150, requestTimeoutMs: 10_000 });
  await etcd.get("k");
});

test("a call that runs out of its short time does not take the connection from the others", async () => {
  await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  await etcd.get("k");
  // No answer comes in time, also where this process or etcd's is held up for a while.
  proxy.delay(250);
  for (let i = 0; i < 5; i++) {
    expect(await etcdErrorOf(etcd.get("k", { timeoutMs: 60 }))).toMatchObject({ code: "ETCD_TIMEOUT" });
  }
  await etcd.get("k");
  expect(proxy.accepted).toBe(1);
});

test("a write that waits for its answer outlives the connection being given up by a read beside it", async () => {
  await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  await etcd.get("k");
  proxy.blackHole();
  const put = outcomeOf(etcd.put("k", "v", { timeoutMs: 10_000 }));
  // Long enough to count as silence: the next call gets a new connection.
  await outcomeOf(etcd.get("k", { timeoutMs: 1_600 }));
  expect(proxy.accepted).toBeGreaterThan(1);
  await proxy.heal();
  expect((await put).error).toBeUndefined();
});
