import { expect, test } from "vitest";
import { EtcdClient, type Lease, prefix } from "../../../src/index.ts";
import { FaultProxy, startEtcd } from "../../../testing/index.ts";
import { until } from "../../support/until.ts";

/** A long TTL, so that a busy machine differs from a lost renewal, and renewals that come often all the same. */
const ttlSeconds = 60;
const renewEverySeconds = 4;

/** Whether each of them was renewed after that moment. */
function allRenewedSince(leases: readonly Lease[], momentMs: number): boolean {
  const heldMs = ttlSeconds * 1_000 - 500;
  return leases.every((lease) => performance.now() - (heldMs - lease.remainingMs()) > momentMs);
}

test("2000 leases of one client are all kept alive while the leader is killed", async () => {
  await using cluster = await startEtcd({ members: 3 });
  await using etcd = new EtcdClient({ endpoints: cluster.endpoints, requestTimeoutMs: 30_000 });
  const leases = await Promise.all(
    Array.from({ length: 2_000 }, () => etcd.grantLease(ttlSeconds, { renewEverySeconds })),
  );
  const leader = await cluster.leader();
  await leader.kill();
  const killed = performance.now();
  await until(() => allRenewedSince(leases, killed), { timeoutMs: 40_000 });
  await until(() => allRenewedSince(leases, killed + renewEverySeconds * 1_000), { timeoutMs: 40_000 });
  expect(leases.filter((lease) => lease.signal.aborted)).toHaveLength(0);
});

async function clientsWithLeases(count: number, endpoint: string): Promise<{ etcds: EtcdClient[]; leases: Lease[] }> {
  const etcds = Array.from({ length: count }, () => new EtcdClient({ endpoints: endpoint, requestTimeoutMs: 30_000 }));
  const leases = await Promise.all(etcds.map((etcd) => etcd.grantLease(ttlSeconds, { renewEverySeconds })));
  return { etcds, leases };
}

// HARDSHIPS 13: the reconnect herd.

test("200 clients with a lease each come back to a restarted etcd, one connection for calls and one for streams, and lose no lease", async () => {
  const clients = 200;
  await using cluster = await startEtcd();
  await using proxy = await FaultProxy.start(cluster.endpoints[0] as string);
  const { etcds, leases } = await clientsWithLeases(clients, proxy.endpoint);
  await Promise.all(leases.map((lease, i) => (etcds[i] as EtcdClient).put(`herd/${i}`, "v", { lease })));
  await until(() => proxy.accepted >= 2 * clients, {
    timeoutMs: 20_000,
    message: () => `${proxy.accepted} connections`,
  });
  // One more for whom the machine kept waiting for an answer: it has asked elsewhere.
  expect(proxy.accepted).toBeLessThan(2.1 * clients);
  await cluster.member(0).kill();
  // A call on every client, too: they all look for a connection.
  const waiting = Promise.all(etcds.map((etcd) => etcd.get("herd/0")));
  // Until renewals are overdue, too.
  const deadMs = (ttlSeconds - renewEverySeconds - 1) * 1_000;
  await until(() => leases.every((lease) => lease.remainingMs() < deadMs));
  await cluster.member(0).restart();
  const restarted = performance.now();
  await waiting;
  await until(() => allRenewedSince(leases, restarted), { timeoutMs: 30_000 });
  expect(leases.filter((lease) => lease.signal.aborted)).toHaveLength(0);
  expect((await (etcds[0] as EtcdClient).range(prefix("herd/"))).count).toBe(clients);
  await until(() => proxy.connections === 2 * clients, { message: () => `${proxy.connections} connections` });
  await Promise.all(etcds.map((etcd) => etcd.close()));
});

// While etcd is away a client dials for its calls and for its streams, each with full jitter: pauses that grow to 1 s,
// so 0.5 s on average, after about five short ones. That is 4 dials per client and second, and some 10 more in the
// first one.
test("while etcd is away a client dials a few times a second, however many there are", async () => {
  const clients = 40;
  await using cluster = await startEtcd();
  await using proxy = await FaultProxy.start(cluster.endpoints[0] as string);
  const { etcds } = await clientsWithLeases(clients, proxy.endpoint);
  await cluster.member(0).kill();
  const waiting = Promise.all(etcds.map((etcd) => etcd.get("herd/0")));
  const dials: number[] = [];
  for (let second = 0; second < 3; second++) {
    const before = proxy.accepted;
    const end = performance.now() + 1_000;
    await until(() => performance.now() > end);
    dials.push((proxy.accepted - before) / clients);
  }
  await cluster.member(0).restart();
  await waiting;
  expect(dials[0]).toBeLessThan(20);
  expect(dials[1]).toBeLessThan(8);
  expect(dials[2]).toBeLessThan(8);
  await Promise.all(etcds.map((etcd) => etcd.close()));
});
