import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, type Lease, prefix } from "../../../src/index.ts";
import { compareVersions } from "../../../testing/etcd-version.ts";
import { type EtcdCluster, type EtcdMember, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { until } from "../../support/until.ts";

// GUARANTEES 10: a renewal that waits in a follower for a dead leader blocks its stream for seconds. Three members, and
// clients that begin on a member of the test's choice.

const ttlSeconds = 5;
let cluster: EtcdCluster;

beforeAll(async () => {
  cluster = await startEtcd({ members: 3 });
});
afterAll(() => cluster.close());

async function roles(): Promise<{ leader: EtcdMember; followers: [EtcdMember, EtcdMember] }> {
  const leader = await cluster.leader();
  return { leader, followers: cluster.members.filter((member) => member !== leader) as [EtcdMember, EtcdMember] };
}

/** Leases of a client whose renewals go through `first`; the others are behind proxies that are down meanwhile. */
async function leasesThrough(first: EtcdMember): Promise<{ leases: Lease[]; etcd: EtcdClient } & AsyncDisposable> {
  const proxies = await Promise.all(
    cluster.members.map(async (member) => ({ member, proxy: await FaultProxy.start(member.endpoint) })),
  );
  for (const { member, proxy } of proxies) if (member !== first) await proxy.down();
  const etcd = new EtcdClient({ endpoints: proxies.map(({ proxy }) => proxy.endpoint), requestTimeoutMs: 20_000 });
  const leases = await Promise.all(Array.from({ length: 8 }, () => etcd.grantLease(ttlSeconds)));
  await Promise.all(leases.map((lease) => etcd.put(`held/${lease.id}`, "v", { lease })));
  await until(() => leases.every((lease) => lease.remainingMs() < 4_000));
  await until(() => leases.every((lease) => lease.remainingMs() > 4_000), { message: "they are renewed" });
  for (const { proxy } of proxies) await proxy.up();
  return {
    leases,
    etcd,
    async [Symbol.asyncDispose]() {
      await etcd.close();
      await Promise.all(proxies.map(({ proxy }) => proxy.close()));
    },
  };
}

/** None is lost until all have been renewed well after the fault, and none is missing in etcd. */
async function expectNoneLost(leases: readonly Lease[]): Promise<void> {
  const end = performance.now() + ttlSeconds * 1_000;
  await until(
    () => {
      for (const lease of leases) expect(lease.signal.aborted).toBe(false);
      return performance.now() > end && leases.every((lease) => lease.remainingMs() > 3_000);
    },
    { timeoutMs: 3 * ttlSeconds * 1_000, message: () => leases.map((lease) => lease.remainingMs()).join() },
  );
}

function isOld(): boolean {
  return compareVersions(cluster.version, "3.5.13") < 0;
}

async function untilAllServe(): Promise<void> {
  for (const { endpoint } of cluster.members) {
    await using etcd = new EtcdClient({ endpoints: endpoint });
    await until(async () => (await etcd.put("serves", endpoint)).revision, { timeoutMs: 40_000 });
  }
}

const faults: Record<string, (leader: EtcdMember, follower: EtcdMember) => Promise<(() => Promise<void>) | undefined>> =
  {
    "the leader freezes": async (leader) => {
      await leader.pause();
      return () => leader.resume();
    },
    "the member that they are renewed on freezes": async (_, follower) => {
      await follower.pause();
      return () => follower.resume();
    },
    "the leader is killed": async (leader) => {
      await leader.kill();
      return () => leader.restart();
    },
    "the member that they are renewed on is killed": async (_, follower) => {
      await follower.kill();
      return () => follower.restart();
    },
    "the member that they are renewed on is cut from its peers": async (_, follower) => {
      await follower.isolate();
      return () => follower.heal();
    },
    "the leader is cut from its peers": async (leader) => {
      await leader.isolate();
      return () => leader.heal();
    },
    "the leadership moves": async () => {
      await cluster.moveLeader();
      return undefined;
    },
  };

test.each(Object.entries(faults))(
  "leases of 5 s that are renewed through a follower are not lost when %s",
  async (what, fault) => {
    const { leader, followers } = await roles();
    await using held = await leasesThrough(followers[0]);
    const mend = await fault(leader, followers[0]);
    try {
      await expectNoneLost(held.leases);
    } finally {
      await mend?.();
      await untilAllServe();
    }
    // A leader that comes back may revoke what others renewed meanwhile: a bug of etcd, only frozen ones have it since
    // 3.5.13. Then the owners hear of it at the next renewal: of all leases that are gone, and of no other.
    const inEtcd = async () => (await held.etcd.range(prefix("held/"))).count;
    const stillHeld = () => held.leases.filter((lease) => !lease.signal.aborted).length;
    await until(async () => (await inEtcd()) === stillHeld(), { message: () => `${stillHeld()} are still held` });
    const byEtcdsBug = what === "the leader freezes" || (isOld() && what.endsWith("cut from its peers"));
    if (!byEtcdsBug) expect(stillHeld()).toBe(held.leases.length);
    await Promise.all(held.leases.map((lease) => lease.revoke()));
  },
);

test("leases that are renewed through the leader are not lost when it freezes", async () => {
  const { leader } = await roles();
  await using held = await leasesThrough(leader);
  await leader.pause();
  try {
    await expectNoneLost(held.leases);
  } finally {
    await leader.resume();
    await untilAllServe();
  }
});
