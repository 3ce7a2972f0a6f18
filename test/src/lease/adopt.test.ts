import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, leaseId } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

// Leases that others granted.

let cluster: EtcdCluster;
let others: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  others = new EtcdClient({ endpoints: cluster.endpoints });
});
afterAll(async () => {
  await others?.close();
  await cluster?.close();
});

const remaining = async (id: ReturnType<typeof leaseId>) => (await others.leaseTimeToLive(id)).remainingSeconds;

test("all leases are listed, whichever client granted them", async () => {
  await using etcd = new EtcdClient({ endpoints: cluster.endpoints, namespace: "ns/" });
  const [own, other] = [await etcd.grantLease(60), await others.grantLease(60, { keepAlive: false })];
  expect(await etcd.leases()).toEqual(expect.arrayContaining([own.id, other.id]));
  await other.revoke();
  expect(await etcd.leases()).not.toContain(other.id);
});

test("a lease that another client granted is renewed once", async () => {
  await using etcd = new EtcdClient({ endpoints: cluster.endpoints });
  const { id } = await others.grantLease(60, { keepAlive: false });
  await until(async () => (await remaining(id)) < 59);
  expect(await etcd.keepAliveOnce(id)).toEqual({ ttlSeconds: 60 });
  expect(await remaining(id)).toBe(59);
});

test("a renewal that one endpoint does not answer is sent to the next", async () => {
  await using link = await FaultProxy.start(cluster.endpoints[0] as string);
  await using etcd = new EtcdClient({ endpoints: [link.endpoint, ...cluster.endpoints] });
  const { id } = await others.grantLease(60, { keepAlive: false });
  // Whichever comes first.
  for (let times = 0; times < 4; times++) expect(await etcd.keepAliveOnce(id)).toEqual({ ttlSeconds: 60 });
  link.blackHole();
  for (let times = 0; times < 4; times++) expect(await etcd.keepAliveOnce(id)).toEqual({ ttlSeconds: 60 });
});

test("a renewal that has no answer ends with the client", async () => {
  await using link = await FaultProxy.start(cluster.endpoints[0] as string);
  const etcd = new EtcdClient({ endpoints: link.endpoint });
  const { id } = await others.grantLease(60, { keepAlive: false });
  await etcd.keepAliveOnce(id);
  link.blackHole();
  let error: unknown;
  etcd.keepAliveOnce(id).catch((reason: unknown) => {
    error = reason;
  });
  await new Promise(setImmediate);
  await etcd.close();
  await new Promise(setImmediate);
  expect(error).toMatchObject({ code: "ETCD_CLOSED" });
});

test("what is adopted is kept alive beyond its time, lists its keys, and ends with the client", async () => {
  const { id } = await others.grantLease(2, { keepAlive: false });
  await others.put("adopted", "v", { lease: id });
  const etcd = new EtcdClient({ endpoints: cluster.endpoints });
  const lease = await etcd.adoptLease(id);
  expect(lease).toMatchObject({ id, ttlSeconds: 2 });
  expect(await lease.timeToLive()).toMatchObject({ grantedSeconds: 2, keys: ["adopted"] });
  for (let renewals = 0; renewals < 4; renewals++) {
    const before = lease.remainingMs();
    await until(() => lease.remainingMs() < before, { message: "time goes on" });
    await until(() => lease.remainingMs() > 1_500, { message: "it is renewed" });
    await until(() => lease.remainingMs() < 1_400, { message: "time goes on" });
  }
  expect(lease.signal.aborted).toBe(false);
  expect((await others.get("adopted"))?.lease).toBe(id);
  await etcd.close();
  expect(lease.signal.aborted).toBe(true);
  expect(await others.get("adopted")).toBeUndefined();
});

test("what is adopted and not kept alive ends when its time is over, and does not end with the client", async () => {
  const short = await others.grantLease(3, { keepAlive: false });
  const long = await others.grantLease(60, { keepAlive: false });
  const etcd = new EtcdClient({ endpoints: cluster.endpoints });
  const [ending, staying] = await Promise.all([short, long].map(({ id }) => etcd.adoptLease(id, { keepAlive: false })));
  await until(() => ending?.signal.aborted);
  expect(short.signal.aborted || short.remainingMs() < 1_500).toBe(true);
  await etcd.close();
  expect(staying?.remainingMs()).toBeGreaterThan(50_000);
  expect(await remaining(long.id)).toBeGreaterThan(50);
});

test("a lease that is not there, or is held already, is an error that says so", async () => {
  await using etcd = new EtcdClient({ endpoints: cluster.endpoints });
  const none = leaseId("123456");
  const notFound = { code: "ETCD_LEASE_NOT_FOUND", message: expect.stringContaining(none) };
  expect(await etcdErrorOf(etcd.keepAliveOnce(none))).toMatchObject(notFound);
  expect(await etcdErrorOf(etcd.adoptLease(none))).toMatchObject(notFound);
  expect(await etcdErrorOf(etcd.adoptLease(none, { keepAlive: false }))).toMatchObject(notFound);
  const lease = await etcd.grantLease(60);
  expect(await etcdErrorOf(etcd.adoptLease(lease))).toMatchObject({ code: "ETCD_CONFLICT" });
  expect(await etcdErrorOf(etcd.adoptLease(leaseId("1"), { renewEverySeconds: -1 }))).toMatchObject({
    code: "ETCD_INVALID_OPTION",
    option: "renewEverySeconds",
  });
});
