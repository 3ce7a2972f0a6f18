import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, prefix } from "../../../src/index.ts";
import { type EtcdCluster, type EtcdMember, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

// HARDSHIPS 3: a stopped server keeps its connections and answers nothing. A call moves on by its own limit; a stream
// must be noticed by the pings.

let cluster: EtcdCluster;
let followers: readonly EtcdMember[];

beforeAll(async () => {
  cluster = await startEtcd({ members: 3 });
  const leader = await cluster.leader();
  followers = cluster.members.filter((member) => member !== leader);
});
afterAll(() => cluster.close());

test("events and renewals come by another member before a lease of 5 s could end", async () => {
  const links = await Promise.all(followers.map(({ endpoint }) => FaultProxy.start(endpoint)));
  await using direct = new EtcdClient({ endpoints: (await cluster.leader()).endpoint });
  await using etcd = new EtcdClient({ endpoints: links.map(({ endpoint }) => endpoint) });
  await using watch = etcd.watch(prefix("followed/"));
  const { items } = record(watch);
  await watch.ready;
  const held = await etcd.grantLease(5);
  await etcd.put("held", "as long as the lease", { lease: held });
  const connected = links.findIndex(({ connections }) => connections > 0);
  const frozen = followers[connected] as EtcdMember;

  await using clockWatch = direct.watch("clock");
  const clock = record(clockWatch);
  await clockWatch.ready;
  await frozen.pause();
  const startedMs = performance.now();
  const lease = await direct.grantLease(5, { keepAlive: false });
  await direct.put("clock", "5 s", { lease });
  await direct.put("followed/k", "while it is frozen");
  const ended = () => clock.items.some(({ events }) => events.some(({ type }) => type === "delete"));
  const order: string[] = [];
  await Promise.all([
    until(() => items.length > 0).then(() => {
      order.push("event");
      if (process.env.DEBUG) console.log(`the watch went on after ${Math.round(performance.now() - startedMs)} ms`);
    }),
    until(ended, { timeoutMs: 20_000 }).then(() => order.push("the lease ended")),
  ]);
  expect(order).toEqual(["event", "the lease ended"]);
  // The one that was kept alive on the frozen member is still there, and renewed elsewhere.
  expect(held.signal.aborted).toBe(false);
  expect((await direct.get("held"))?.lease).toBe(held.id);
  await frozen.resume();
  for (const link of links) await link.close();
});
