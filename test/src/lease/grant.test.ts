import { afterAll, beforeAll, expect, test } from "vitest";
import type { Protocol } from "../../../src/connection/index.ts";
import { ConflictError, EtcdClient, EtcdTimeoutError, type LeaseId, leaseId } from "../../../src/index.ts";
import { LeaseEngine, Leases } from "../../../src/lease/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { leaseRemaining, leasesOf, requestsServed } from "../../support/gateway/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { seeded } from "../../support/seeded.ts";
import { until } from "../../support/until.ts";

let cluster: EtcdCluster;
let endpoint: string;

beforeAll(async () => {
  cluster = await startEtcd();
  endpoint = cluster.member(0).endpoint;
});
afterAll(() => cluster.close());

test("a lease has the TTL that etcd granted, also where that is more than was asked for", async () => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  const lease = await etcd.grantLease(1);
  expect(lease.ttlSeconds).toBe(2);
  expect(lease.id).toMatch(/^[1-9a-f][0-9a-f]*$/);
  expect(lease.remainingMs()).toBeLessThanOrEqual(1_900);
  expect(await lease.timeToLive()).toMatchObject({ grantedSeconds: 2, keys: [] });
});

test("an id of the caller's choosing is used, and a second grant of it is a conflict", async () => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  const lease = await etcd.grantLease(10, { id: leaseId("00C0FFEE") });
  expect(lease.id).toBe("c0ffee");
  expect(await etcdErrorOf(etcd.grantLease(10, { id: lease.id }))).toMatchObject({
    code: "ETCD_CONFLICT",
    outcomeUnknown: false,
  });
  expect(lease.signal.aborted).toBe(false);
});

test("an id in another spelling is the same lease and is renewed as such", async () => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  const lease = await etcd.grantLease(2, { id: "00BEEF" as LeaseId });
  expect(lease.id).toBe("beef");
  await until(() => lease.remainingMs() < 1_500);
  await until(() => lease.remainingMs() > 1_600, { message: "it is renewed" });
});

test("a grant whose answer is lost is asked for again and is the same lease", async () => {
  await using proxy = await FaultProxy.start(endpoint);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint, requestTimeoutMs: 6_000 });
  await etcd.get("k");
  proxy.blackHole("toClient");
  const id = leaseId("ab12");
  const granting = etcd.grantLease(30, { id });
  await until(async () => (await leaseRemaining(endpoint, id)) > 0);
  proxy.cut();
  await proxy.heal();
  const lease = await granting;
  expect(lease).toMatchObject({ id, ttlSeconds: 30 });
  expect(lease.remainingMs()).toBeGreaterThan(20_000);
  await etcd.put("granted", "once", { lease });
  expect((await lease.timeToLive()).keys).toEqual(["granted"]);
});

test("another client's lease is not taken for the one whose grant had no answer", async () => {
  await using proxy = await FaultProxy.start(endpoint);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint, requestTimeoutMs: 6_000 });
  await using other = new EtcdClient({ endpoints: endpoint });
  const { id } = await other.grantLease(30);
  await other.put("of another", "v", { lease: id });
  await etcd.get("k");
  const { LeaseGrant: before = 0 } = await requestsServed(endpoint);
  proxy.blackHole("toClient");
  const granting = etcdErrorOf(etcd.grantLease(30, { id }));
  await until(async () => ((await requestsServed(endpoint)).LeaseGrant ?? 0) > before);
  proxy.cut();
  await proxy.heal();
  expect(await granting).toMatchObject({ code: "ETCD_CONFLICT" });
  await etcd.close();
  expect(await other.get("of another")).toBeDefined();
});

test("a grant that is never answered fails within its time, with an unknown outcome", async () => {
  await using proxy = await FaultProxy.start(endpoint);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  await etcd.get("k");
  proxy.blackHole("toClient");
  const id = leaseId("ab13");
  const granting = outcomeOf(etcd.grantLease(30, { id, timeoutMs: 1_500 }));
  await until(async () => (await leaseRemaining(endpoint, id)) > 0);
  const { error, tookMs } = await granting;
  expect(error).toMatchObject({ retryable: true, outcomeUnknown: true });
  expect(tookMs).toBeLessThan(2_500);
});

test("a lease whose grant failed with an unknown outcome is revoked once etcd can be reached", async () => {
  await using proxy = await FaultProxy.start(endpoint);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  const before = await leaseCount();
  await etcd.get("k");
  proxy.blackHole("toClient");
  const granting = etcdErrorOf(etcd.grantLease(300, { timeoutMs: 1_000 }));
  await until(async () => (await leaseCount()) > before);
  expect(await granting).toMatchObject({ outcomeUnknown: true });
  await proxy.heal();
  await until(async () => (await leaseCount()) === before, { message: "the lease is gone" });
});

async function leaseCount(): Promise<number> {
  return (await leasesOf(endpoint)).length;
}

test.each([0, -1, Number.NaN, 0.5, 1.5, 1e10, "5" as never])("a TTL of %s is refused by name", async (ttlSeconds) => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  await expect(etcd.grantLease(ttlSeconds)).rejects.toMatchObject({
    code: "ETCD_INVALID_OPTION",
    option: "ttlSeconds",
  });
});

test.each([
  [{ renewEverySeconds: 0 }, "renewEverySeconds"],
  [{ renewEverySeconds: -1 }, "renewEverySeconds"],
  [{ renewEverySeconds: Number.NaN }, "renewEverySeconds"],
  [{ renewEverySeconds: 5 }, "renewEverySeconds"],
  [{ id: "not hex" as LeaseId }, "id"],
  [{ id: "0" as LeaseId }, "id"],
  [{ id: "8000000000000000" as LeaseId }, "id"],
])("the options %j are refused by name", async (options, option) => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  await expect(etcd.grantLease(5, options)).rejects.toMatchObject({ code: "ETCD_INVALID_OPTION", option });
});

/**
 * Leases on an etcd that answers a grant, after `tookMs`, by "already exists", and then `grantedSeconds` as its TTL.
 */
function grantedBefore(tookMs: number, grantedSeconds: number | undefined, remainingSeconds = grantedSeconds) {
  const clock = new FakeClock();
  const timeouts: unknown[] = [];
  const revoked: LeaseId[] = [];
  const protocol = {
    requestTimeoutMs: 5_000,
    async leaseGrant() {
      clock.stall(tookMs);
      throw new ConflictError("lease already exists", { outcomeUnknown: true });
    },
    async leaseTimeToLive(_id: LeaseId, _keys: boolean, { timeoutMs }: { timeoutMs: number }) {
      timeouts.push(timeoutMs);
      if (grantedSeconds === undefined) throw new EtcdTimeoutError("no answer");
      return { grantedSeconds, remainingSeconds, keys: [] };
    },
    async leaseRevoke(id: LeaseId) {
      revoked.push(id);
    },
  } as unknown as Protocol;
  return {
    leases: new Leases(protocol, new LeaseEngine(protocol, 1_000, { clock, random: seeded("grant").next })),
    clock,
    timeouts,
    revoked,
  };
}

/** Leases on an etcd on which the first id that is drawn is that of another client's lease. */
function firstIdTaken({ unsure, foreign }: { unsure: boolean; foreign: object }) {
  const clock = new FakeClock();
  const asked: LeaseId[] = [];
  const revoked: LeaseId[] = [];
  const protocol = {
    requestTimeoutMs: 5_000,
    async leaseGrant(id: LeaseId, ttlSeconds: number) {
      asked.push(id);
      if (asked.length === 1) throw new ConflictError("lease already exists", { outcomeUnknown: unsure });
      return { id, ttlSeconds };
    },
    leaseTimeToLive: async () => foreign,
    async leaseRevoke(id: LeaseId) {
      revoked.push(id);
    },
  } as unknown as Protocol;
  return {
    leases: new Leases(protocol, new LeaseEngine(protocol, 1_000, { clock, random: () => 0.5 })),
    asked,
    revoked,
  };
}

test.each([
  ["in a grant that was sent once", false, {}],
  ["and it has keys", true, { grantedSeconds: 30, remainingSeconds: 30, keys: [Buffer.from("k")] }],
  ["and it has run for longer than this grant takes", true, { grantedSeconds: 30, remainingSeconds: 12, keys: [] }],
])(
  "a random id that exists %s is another client's lease: another id is drawn, and that lease is left alone",
  async (_, unsure, foreign) => {
    const { leases, asked, revoked } = firstIdTaken({ unsure, foreign });
    const lease = await leases.grant(30, { keepAlive: false });
    expect(asked).toHaveLength(2);
    expect(lease.id).toBe(asked[1]);
    expect(asked[1]).not.toBe(asked[0]);
    expect(revoked).toEqual([]);
  },
);

test("what a grant has left of its time is all that asking for its TTL may take", async () => {
  const { leases, timeouts } = grantedBefore(4_000, 60);
  const lease = await leases.grant(30, { keepAlive: false });
  expect(lease).toMatchObject({ ttlSeconds: 60 });
  // It may have been granted when it was first asked for.
  expect(lease.remainingMs()).toBe(60_000 - 4_000 - 500);
  expect(timeouts).toEqual([1_000]);
});

test("a lease of ours that exists is granted, also when the member that is asked for its TTL does not know it yet or does not answer", async () => {
  for (const unknown of [0, undefined]) {
    const { leases } = grantedBefore(1_000, unknown);
    expect(await leases.grant(30, { keepAlive: false })).toMatchObject({ ttlSeconds: 30 });
    await expect(leases.grant(30, { id: leaseId("abc") })).rejects.toMatchObject({ code: "ETCD_CONFLICT" });
  }
});

test("a lease that has run for longer than it was asked for is another client's", async () => {
  const id = leaseId("abc");
  expect(await grantedBefore(2_000, 60, 57).leases.grant(60, { id, keepAlive: false })).toMatchObject({ id });
  await expect(grantedBefore(2_000, 60, 56).leases.grant(60, { id })).rejects.toMatchObject({ code: "ETCD_CONFLICT" });
});

test("a lease that is not renewed leaves nothing behind once it is revoked", async () => {
  const { leases, clock } = grantedBefore(0, 604_800);
  const lease = await leases.grant(604_800, { keepAlive: false });
  expect(clock.pendingTimers).toBe(1);
  await lease.revoke();
  expect(clock.pendingTimers).toBe(0);
});

test("a grant that took longer than the TTL fails and is revoked: no caller gets a lease that is over", async () => {
  const { leases, revoked } = grantedBefore(2_000, 2);
  expect(await etcdErrorOf(leases.grant(2))).toMatchObject({ code: "ETCD_TIMEOUT", retryable: true });
  expect(revoked).toHaveLength(1);
});
