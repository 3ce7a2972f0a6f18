import { afterAll, beforeAll, expect, test } from "vitest";
import type { Protocol } from "../../../src/connection/index.ts";
import { EtcdClient, type Lease, type LeaseId, leaseId, UnavailableError } from "../../../src/index.ts";
import { type Deferred, deferred } from "../../../src/internal/index.ts";
import { LeaseEngine, Leases } from "../../../src/lease/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { FakeClock, settled } from "../../support/fake-clock.ts";
import { leaseRemaining, revokeLease } from "../../support/gateway/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

// An id of the caller's choosing is granted again and again. What is done for the lease that had it before must not
// touch the one that has it now.

let cluster: EtcdCluster;
let endpoint: string;

beforeAll(async () => {
  cluster = await startEtcd();
  endpoint = cluster.member(0).endpoint;
});
afterAll(() => cluster.close());

const isGone = async (id: LeaseId) => (await leaseRemaining(endpoint, id)) === -1;

/** Grants again and again until etcd takes it. */
async function granted(etcd: EtcdClient, ttlSeconds: number, id: LeaseId): Promise<Lease> {
  return until(() => etcd.grantLease(ttlSeconds, { id, timeoutMs: 2_000 }), { timeoutMs: 20_000 });
}

/** Resolves when a lease was renewed so often. */
async function renewed(lease: Lease, times: number): Promise<void> {
  for (let i = 0, before = lease.remainingMs(); i < times; ) {
    await until(
      () => {
        const left = lease.remainingMs();
        const grown = left > before + 20;
        before = left;
        return grown || lease.signal.aborted;
      },
      { timeoutMs: 30_000 },
    );
    if (lease.signal.aborted) return;
    i++;
  }
}

/** Loses leases with chosen ids in an outage that lasts until etcd has ended them. */
async function loseAll(etcd: EtcdClient, proxy: FaultProxy, ids: readonly LeaseId[]): Promise<Lease[]> {
  const leases = await Promise.all(ids.map((id) => etcd.grantLease(3, { id })));
  await proxy.down();
  await until(() => leases.every(({ signal }) => signal.aborted), { timeoutMs: 30_000 });
  await until(async () => (await Promise.all(ids.map(isGone))).every(Boolean), { timeoutMs: 30_000 });
  return leases;
}

test("six of six successors of lost leases live: no call goes on to revoke their ids", async () => {
  await using proxy = await FaultProxy.start(endpoint);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  const ids = Array.from({ length: 6 }, (_, i) => leaseId((0xa110 + i).toString(16)));
  await loseAll(etcd, proxy, ids);
  await proxy.up();
  const successors = await Promise.all(ids.map((id) => granted(etcd, 9, id)));
  // A pause between two attempts in the background was 2 s long.
  await Promise.all(successors.map((lease) => renewed(lease, 2)));
  expect(successors.map(({ signal }) => signal.aborted)).toEqual(ids.map(() => false));
  for (const id of ids) expect(await leaseRemaining(endpoint, id)).toBeGreaterThan(0);
});

test("a client that lost a lease leaves its id to another client, also when it closes", async () => {
  await using proxy = await FaultProxy.start(endpoint);
  const loser = new EtcdClient({ endpoints: proxy.endpoint });
  await using other = new EtcdClient({ endpoints: endpoint });
  const id = leaseId("b0b");
  const [lost] = await loseAll(loser, proxy, [id]);
  const successor = await granted(other, 9, id);
  await proxy.up();
  await until(() => loser.get("k").then(() => true));
  await renewed(successor, 2);
  await loser.close();
  await lost?.revoke().catch(() => {});
  expect(await leaseRemaining(endpoint, id)).toBeGreaterThan(0);
  expect(successor.signal.aborted).toBe(false);
});

test("a handle whose lease was lost does not revoke the lease that has its id now", async () => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  const id = leaseId("ca11");
  const first = await etcd.grantLease(30, { id });
  first.abandon(new Error("lost"));
  await revokeLease(endpoint, id);
  const second = await etcd.grantLease(30, { id });
  await first.revoke();
  await first[Symbol.asyncDispose]();
  expect(await leaseRemaining(endpoint, id)).toBeGreaterThan(0);
  expect(second.signal.aborted).toBe(false);
  await second.revoke();
  expect(await isGone(id)).toBe(true);
});

test("an id that is granted anew ends the handle that still has it, and the new one is renewed", async () => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  const id = leaseId("dead");
  const first = await etcd.grantLease(20, { id });
  await revokeLease(endpoint, id);
  const second = await etcd.grantLease(6, { id });
  expect(first.signal.aborted).toBe(true);
  expect(first.signal.reason).toMatchObject({ code: "ETCD_LEASE_LOST", message: expect.stringContaining("anew") });
  await first.revoke();
  first.lapse();
  first.abandon();
  await renewed(second, 2);
  expect(second.signal.aborted).toBe(false);
});

/** Leases on an etcd that knows no lease, where each revocation waits for the test. */
function withHeldRevocations() {
  const clock = new FakeClock();
  const revocations: (Deferred<void> & { readonly id: LeaseId })[] = [];
  const protocol = {
    requestTimeoutMs: 5_000,
    leaseGrant: async (id: LeaseId, ttlSeconds: number) => ({ id, ttlSeconds }),
    leaseRevoke(id: LeaseId) {
      const held = { ...deferred<void>(), id };
      revocations.push(held);
      return held.promise;
    },
  } as unknown as Protocol;
  return {
    leases: new Leases(protocol, new LeaseEngine(protocol, 1_000, { clock, random: () => 0.5 })),
    clock,
    revocations,
  };
}

const away = () => new UnavailableError("etcd is away", { retryable: true });

test("a lease with a random id that was lost is revoked until that succeeds; granting its id calls that off", async () => {
  const { leases, clock, revocations } = withHeldRevocations();
  const first = await leases.grant(10, { keepAlive: false });
  first.abandon(new Error("lost"));
  await settled();
  revocations[0]?.reject(away());
  await clock.pass(2_000);
  expect(revocations).toHaveLength(2);
  // The second attempt is on its way to etcd, and would end the new lease: it is waited for.
  const second = leases.grant(10, { id: first.id, keepAlive: false });
  let isGranted = false;
  void second.then(() => {
    isGranted = true;
  });
  await settled();
  expect(isGranted).toBe(false);
  revocations[1]?.reject(away());
  expect((await second).id).toBe(first.id);
  await clock.pass(60_000);
  expect(revocations).toHaveLength(2);
});

test("a grant waits for a revocation of its id as long as it has time, and is not sent after that", async () => {
  const { leases, clock, revocations } = withHeldRevocations();
  const first = await leases.grant(10, { id: leaseId("abc"), keepAlive: false });
  const revoking = first.revoke();
  const second = etcdErrorOf(leases.grant(10, { id: first.id, keepAlive: false }));
  await clock.pass(5_000);
  expect(await second).toMatchObject({ code: "ETCD_TIMEOUT", retryable: true, outcomeUnknown: false });
  const third = leases.grant(10, { id: first.id, keepAlive: false });
  revocations[0]?.resolve();
  await revoking;
  expect((await third).id).toBe(first.id);
});

test.each([true, false])(
  "an adoption waits for a revocation within its own time and signal; renewed: %s",
  async (keepAlive) => {
    const { leases, clock } = withHeldRevocations();
    const lease = await leases.grant(10, { keepAlive: false });
    void lease.revoke({ timeoutMs: Number.POSITIVE_INFINITY });
    const abort = new AbortController();
    const aborted = outcomeOf(leases.adopt(lease.id, { keepAlive, signal: abort.signal }));
    const late = etcdErrorOf(leases.adopt(lease.id, { keepAlive, timeoutMs: 500 }));
    await settled();
    abort.abort("enough");
    expect((await aborted).error).toBe("enough");
    await clock.pass(500);
    expect(await late).toMatchObject({ code: "ETCD_TIMEOUT", retryable: true, outcomeUnknown: false });
  },
);

test("a lease with a chosen id is not revoked in the background, whatever ended it", async () => {
  const { leases, clock, revocations } = withHeldRevocations();
  const grant = (id: string) => leases.grant(10, { id: leaseId(id), keepAlive: false });
  const [abandoned, revoked] = await Promise.all([grant("a"), grant("b")]);
  abandoned.abandon(new Error("given up"));
  const revoking = etcdErrorOf(revoked.revoke());
  revocations[0]?.reject(away());
  expect(await revoking).toMatchObject({ code: "ETCD_UNAVAILABLE" });
  await clock.pass(60_000);
  expect(revocations.map(({ id }) => id)).toEqual(["b"]);
  // Its owner can ask again.
  const again = revoked.revoke();
  revocations[1]?.resolve();
  await again;
});
