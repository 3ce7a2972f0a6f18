import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, type Lease } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { leaseRemaining, revokeLease } from "../../support/gateway/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

let cluster: EtcdCluster;
let endpoint: string;

beforeAll(async () => {
  cluster = await startEtcd();
  endpoint = cluster.member(0).endpoint;
});
afterAll(() => cluster.close());

/** Waits until so much time is over since now, looking at `check` all along. */
async function allThrough(ms: number, check: () => void): Promise<void> {
  const end = performance.now() + ms;
  await until(
    () => {
      check();
      return performance.now() > end;
    },
    { timeoutMs: ms + 5_000 },
  );
}

function lossOf(lease: Lease): Promise<unknown> {
  return new Promise((resolve) => {
    lease.signal.addEventListener("abort", () => resolve(lease.signal.reason), { once: true });
  });
}

test("leases live on beyond their TTL, in etcd and by our clock", async () => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  const leases = await Promise.all(Array.from({ length: 20 }, () => etcd.grantLease(2)));
  await Promise.all(leases.map((lease) => etcd.put(`alive/${lease.id}`, "v", { lease })));
  await allThrough(5_000, () => {
    for (const lease of leases) expect(lease.remainingMs()).toBeGreaterThan(0);
  });
  expect((await etcd.range({ start: Buffer.from("alive/"), end: Buffer.from("alive0") })).count).toBe(20);
});

test("all leases of a client share one connection, beside the one for calls", async () => {
  await using proxy = await FaultProxy.start(endpoint);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  const leases = await Promise.all(Array.from({ length: 100 }, () => etcd.grantLease(60, { renewEverySeconds: 0.3 })));
  const granted = performance.now();
  const lastRenewed = (lease: Lease) => performance.now() - (59_500 - lease.remainingMs());
  await until(() => leases.every((lease) => lastRenewed(lease) > granted + 500));
  expect(proxy.accepted).toBe(2);
});

test("renewEverySeconds is how often it is renewed", async () => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  const [seldom, often] = await Promise.all([
    etcd.grantLease(10, { renewEverySeconds: 6 }),
    etcd.grantLease(10, { renewEverySeconds: 0.1 }),
  ]);
  await until(() => seldom.remainingMs() < 8_500);
  expect(often.remainingMs()).toBeGreaterThan(8_700);
});

test("a lease whose renewEverySeconds is nearly its TTL is renewed in good time all the same", async () => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  const lease = await etcd.grantLease(2, { renewEverySeconds: 1.99 });
  await allThrough(4_500, () => expect(lease.signal.aborted).toBe(false));
});

test("a revoke by another client is noticed at the next renewal", async () => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  const lease = await etcd.grantLease(3);
  const lost = lossOf(lease);
  await revokeLease(endpoint, lease.id);
  const remaining = lease.remainingMs();
  expect(await lost).toMatchObject({ code: "ETCD_LEASE_LOST", message: expect.stringContaining("not known to etcd") });
  expect(remaining).toBeGreaterThan(1_000);
  expect(lease.remainingMs()).toBe(0);
  expect(await etcdErrorOf(lease.timeToLive())).toMatchObject({ code: "ETCD_LEASE_NOT_FOUND" });
  await lease.revoke();
});

test("revoke() ends the lease, its keys and its renewal at once, and may be called again", async () => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  const lease = await etcd.grantLease(30);
  await etcd.put("revoked", "v", { lease });
  const revoking = [lease.revoke(), lease.revoke()];
  expect(lease.signal.aborted).toBe(true);
  expect(lease.remainingMs()).toBe(0);
  await Promise.all(revoking);
  expect(await etcd.get("revoked")).toBeUndefined();
  await lease.revoke();
});

test("abandon() aborts with the owner's reason at once and revokes in the background", async () => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  const lease = await etcd.grantLease(30);
  await etcd.put("abandoned", "v", { lease });
  const cause = new Error("the key is gone");
  lease.abandon(cause);
  expect(lease.signal.reason).toMatchObject({ code: "ETCD_LEASE_LOST", cause });
  await until(async () => (await etcd.get("abandoned")) === undefined);
});

test("a revoke that etcd does not hear of is repeated until it does", async () => {
  await using proxy = await FaultProxy.start(endpoint);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  const lease = await etcd.grantLease(300);
  await proxy.down();
  expect(await etcdErrorOf(lease.revoke({ timeoutMs: 300 }))).toMatchObject({ code: "ETCD_UNAVAILABLE" });
  expect(await leaseRemaining(endpoint, lease.id)).toBeGreaterThan(0);
  await proxy.up();
  await until(async () => (await leaseRemaining(endpoint, lease.id)) < 0, { message: "the lease is gone" });
  await lease.revoke();
});

test("close() revokes the leases that are kept alive and leaves a detached one alone", async () => {
  const etcd = new EtcdClient({ endpoints: endpoint });
  const kept = await Promise.all(Array.from({ length: 50 }, () => etcd.grantLease(300)));
  const detached = await etcd.grantLease(300, { keepAlive: false });
  const granting = etcd.grantLease(300).catch((error) => error);
  await etcd.close();
  for (const lease of kept) {
    expect(lease.signal.aborted).toBe(true);
    expect(await leaseRemaining(endpoint, lease.id)).toBe(-1);
  }
  expect(await leaseRemaining(endpoint, detached.id)).toBeGreaterThan(290);
  expect(await granting).toMatchObject({ code: "ETCD_CLOSED" });
});

test("close() sees to what is being revoked: by its owner, and in the background", async () => {
  const etcd = new EtcdClient({ endpoints: endpoint });
  const [revoked, abandoned] = await Promise.all([etcd.grantLease(300), etcd.grantLease(300)]);
  const revoking = revoked.revoke();
  abandoned.abandon();
  await etcd.close();
  await revoking;
  expect(await leaseRemaining(endpoint, revoked.id)).toBe(-1);
  expect(await leaseRemaining(endpoint, abandoned.id)).toBe(-1);
});

test("of two who revoke a lease, each waits as long as it wants", async () => {
  await using proxy = await FaultProxy.start(endpoint);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  const lease = await etcd.grantLease(300);
  proxy.blackHole();
  const controller = new AbortController();
  const first = outcomeOf(lease.revoke({ signal: controller.signal }));
  const hasty = await outcomeOf(lease.revoke({ timeoutMs: 300 }));
  expect(hasty.tookMs).toBeLessThan(1_000);
  const patient = outcomeOf(lease.revoke());
  controller.abort(new Error("the first has no time"));
  expect((await first).error).toBe(controller.signal.reason);
  await proxy.heal();
  expect((await patient).error).toBeUndefined();
});

test("a detached lease is never renewed, and its signal aborts when its time is over", async () => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  const lease = await etcd.grantLease(2, { keepAlive: false });
  const lost = lossOf(lease);
  expect(await lost).toMatchObject({ code: "ETCD_LEASE_LOST" });
  expect(await leaseRemaining(endpoint, lease.id)).toBeGreaterThanOrEqual(-1);
  await until(async () => (await leaseRemaining(endpoint, lease.id)) === -1);
});

test("a lease that lapses is renewed no more: its signal aborts at its deadline, and etcd ends it", async () => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  const lease = await etcd.grantLease(2);
  const other = await etcd.grantLease(2);
  lease.lapse();
  lease.lapse();
  expect(lease.signal.aborted).toBe(false);
  expect(lease.remainingMs()).toBeGreaterThan(0);
  expect(await lossOf(lease)).toMatchObject({ code: "ETCD_LEASE_LOST" });
  expect(lease.remainingMs()).toBe(0);
  await until(async () => (await leaseRemaining(endpoint, lease.id)) === -1);
  expect(other.signal.aborted).toBe(false);
});

test("a lease that lapses can still be revoked early", async () => {
  await using etcd = new EtcdClient({ endpoints: endpoint });
  const lease = await etcd.grantLease(300);
  lease.lapse();
  await lease.revoke();
  expect(lease.signal.aborted).toBe(true);
  expect(await leaseRemaining(endpoint, lease.id)).toBe(-1);
  lease.lapse();
});

test("close() revokes a lease that lapses, too", async () => {
  const etcd = new EtcdClient({ endpoints: endpoint });
  const lease = await etcd.grantLease(300);
  lease.lapse();
  await etcd.close();
  expect(lease.signal.aborted).toBe(true);
  expect(await leaseRemaining(endpoint, lease.id)).toBe(-1);
});
