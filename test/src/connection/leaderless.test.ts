import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient } from "../../../src/index.ts";
import { type EtcdCluster, type EtcdMember, startEtcd } from "../../../testing/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

// HARDSHIPS 8: a member without a leader accepts connections and calls, and can serve none of them.

let cluster: EtcdCluster;

beforeAll(async () => {
  cluster = await startEtcd({ members: 3 });
});
afterAll(() => cluster.close());

async function followers(): Promise<[EtcdMember, EtcdMember]> {
  const leader = await cluster.leader();
  return cluster.members.filter((member) => member !== leader) as [EtcdMember, EtcdMember];
}

async function untilLeaderless({ endpoint }: EtcdMember): Promise<void> {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  await until(async () => (await etcd.status()).leaderId === undefined, { message: "the member knows no leader" });
}

async function untilAllServe(): Promise<void> {
  for (const { endpoint } of cluster.members) {
    await using etcd = new EtcdClient({ endpoints: endpoint });
    await until(async () => (await etcd.put("serves", endpoint)).revision, { timeoutMs: 40_000 });
  }
}

test("reads and writes through a leaderless member move on at once, and a put is executed once", async () => {
  const [alone, other] = await followers();
  await alone.isolate();
  await untilLeaderless(alone);
  for (let i = 0; i < 4; i++) {
    await using etcd = new EtcdClient({ endpoints: [alone.endpoint, other.endpoint] });
    const put = await outcomeOf(etcd.put(`moved/${i}`, "on"));
    expect(put.error).toBeUndefined();
    // Without "hasleader" the member would think about it for 7 s.
    expect(put.tookMs).toBeLessThan(3_000);
    expect((await etcd.get(`moved/${i}`))?.version).toBe(1);
  }
  await alone.heal();
  await untilAllServe();
});

test("a leaderless member says so at once, answers status, and serves again with a leader, on the same client", async () => {
  const [alone] = await followers();
  await using etcd = new EtcdClient({ endpoints: alone.endpoint, requestTimeoutMs: 3_000 });
  await etcd.get("k");
  await alone.isolate();
  await untilLeaderless(alone);
  const error = await etcdErrorOf(etcd.put("never", "executed"));
  expect(error).toMatchObject({ code: "ETCD_UNAVAILABLE", retryable: true, outcomeUnknown: false });
  expect(error.message).toMatch("no leader");
  expect(await etcd.status()).toMatchObject({ version: cluster.version, leaderId: undefined });
  expect(await etcd.cluster.members({ serializable: true })).toHaveLength(3);
  // What needs a leader says so, and has done nothing: also where it goes through Maintenance.
  const calls: Promise<unknown>[] = [etcd.cluster.members(), etcd.maintenance.alarms()];
  // etcd 3.4 knows no downgrade.
  if (!cluster.version.startsWith("3.4.")) calls.push(etcd.maintenance.downgrade("cancel"));
  for (const refused of await Promise.all(calls.map(etcdErrorOf))) {
    expect(refused).toMatchObject({ code: "ETCD_UNAVAILABLE", outcomeUnknown: false });
    expect(refused.message).toMatch("no leader");
  }
  await alone.heal();
  await until(async () => (await etcd.get("never")) === undefined);
  await untilAllServe();
});

test("a majority that stops and goes on is waited for within the time of a call", async () => {
  const [one, two] = await followers();
  const leader = await cluster.leader();
  await using etcd = new EtcdClient({ endpoints: leader.endpoint, requestTimeoutMs: 30_000 });
  await etcd.get("k");
  await Promise.all([one.pause(), two.pause()]);
  await untilLeaderless(leader);
  const get = etcd.get("k");
  const put = etcd.put("k", "waited");
  await Promise.all([one.resume(), two.resume()]);
  await Promise.all([get, put]);
  await untilAllServe();
});

test("reads go on while the leader is killed, moved and frozen", async () => {
  await using etcd = new EtcdClient({ endpoints: cluster.endpoints, requestTimeoutMs: 20_000 });
  await etcd.put("steady", "v");
  const steady = async () => expect((await etcd.get("steady"))?.text).toBe("v");
  await steady();
  const killed = await cluster.leader();
  await killed.kill();
  await steady();
  await killed.restart();
  await cluster.moveLeader();
  await steady();
  const frozen = await cluster.leader();
  await frozen.pause();
  await steady();
  await frozen.resume();
  await untilAllServe();
});
