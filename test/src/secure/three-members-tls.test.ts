import { expect, test } from "vitest";
import { EtcdClient, type EtcdClientOptions, prefix } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

// What TLS alone promises, shown on three members: what holds for one of them holds for each, and what ails one ails no
// other.

const EXPIRED = 1;

function tlsOf(cluster: EtcdCluster) {
  if (!cluster.tls) throw new Error("the cluster has no TLS");
  return cluster.tls;
}

/** A call, a watch and a lease, by a client that knows this endpoint alone. */
async function expectService(options: EtcdClientOptions, endpoint: string): Promise<void> {
  await using etcd = new EtcdClient({ ...options, endpoints: endpoint });
  const watch = etcd.watch("k");
  await watch.ready;
  const lease = await etcd.grantLease(5);
  await etcd.put("k", endpoint, { lease });
  const { value } = await watch[Symbol.asyncIterator]().next();
  expect(value?.events.map(({ kv }) => [kv.text, kv.lease])).toEqual([[endpoint, lease.id]]);
  expect((await lease.timeToLive()).keys).toEqual(["k"]);
  await lease.revoke();
}

test("serverName is the name that each of three members must have, whatever its address", async () => {
  const serverName = "etcd.internal.test";
  await using cluster = await startEtcd({ members: 3, tls: { names: () => [serverName] } });
  const named = { ...cluster.clientOptions, tls: { ...cluster.clientOptions.tls, serverName } };
  for (const endpoint of cluster.endpoints) {
    await using unnamed = new EtcdClient({ ...cluster.clientOptions, endpoints: endpoint });
    expect(await etcdErrorOf(unnamed.get("k"))).toMatchObject({
      code: "ETCD_UNAVAILABLE",
      message: expect.stringContaining(`${endpoint}: its certificate is for other names`),
    });
    await expectService(named, endpoint);
  }

  // One that has the name of its address instead.
  await tlsOf(cluster).replaceMember(0, { names: ["127.0.0.1"] });
  const [misnamed] = cluster.endpoints as [string];
  await using alone = new EtcdClient({ ...named, endpoints: misnamed });
  expect(await etcdErrorOf(alone.get("k"))).toMatchObject({
    message: expect.stringContaining(`${misnamed}: its certificate is for other names`),
  });
  await expectService(cluster.clientOptions, misnamed);
  await using etcd = new EtcdClient(named);
  await etcd.put("k", "v");
  await etcd.watch("k").ready;
});

test("three members with TLS of the servers alone serve a client that trusts them, with no certificate of its own", async () => {
  await using cluster = await startEtcd({ members: 3, tls: { clientCertificates: false } });
  const { caFile, ca } = tlsOf(cluster);
  const { caFile: otherCa } = await tlsOf(cluster).other();
  // They ask for none, and so look at none that is there.
  const stranger = await tlsOf(cluster).issue({ ca: "other" });
  for (const endpoint of cluster.endpoints) {
    await expectService({ tls: { caFile } }, endpoint);
    await expectService({ tls: { ca } }, endpoint);
    await expectService({ tls: { caFile, certFile: stranger.certFile, keyFile: stranger.keyFile } }, endpoint);
    for (const tls of [undefined, { caFile: otherCa }]) {
      await using untrusting = new EtcdClient({ endpoints: endpoint, tls });
      expect(await etcdErrorOf(untrusting.get("k"))).toMatchObject({
        code: "ETCD_UNAVAILABLE",
        message: expect.stringContaining(`${endpoint}: its certificate is not of a CA that is trusted here`),
      });
    }
    await using plain = new EtcdClient({ endpoints: endpoint.replace("https:", "http:") });
    expect(await etcdErrorOf(plain.get("k"))).toMatchObject({ message: expect.stringContaining("it speaks TLS") });
  }
  await using all = new EtcdClient({ endpoints: cluster.endpoints, tls: { caFile } });
  await all.put("k", "v");
  await all.watch("k").ready;
});

test("a member whose certificate has expired is refused, at once and by name, and the two others serve", async () => {
  await using cluster = await startEtcd({ members: 3, tls: true });
  await tlsOf(cluster).replaceMember(EXPIRED, { days: -1 });
  for (const [index, endpoint] of cluster.endpoints.entries()) {
    if (index === EXPIRED) {
      await using alone = new EtcdClient({ ...cluster.clientOptions, endpoints: endpoint, requestTimeoutMs: 20_000 });
      const { error, tookMs } = await outcomeOf(alone.put("k", "v"));
      expect(error).toMatchObject({
        code: "ETCD_UNAVAILABLE",
        retryable: true,
        outcomeUnknown: false,
        message: expect.stringContaining(`${endpoint}: its certificate has expired`),
      });
      expect(tookMs).toBeLessThan(10_000);
    } else await expectService(cluster.clientOptions, endpoint);
  }

  // A client begins with whichever it draws: as many as it takes until calls and streams have begun with the refused
  // one.
  await using proxy = await FaultProxy.start(cluster.member(EXPIRED).endpoint);
  const endpoints = cluster.endpoints.with(EXPIRED, proxy.endpoint);
  for (let clients = 0; proxy.accepted < 6; clients++) {
    expect(clients).toBeLessThan(100);
    await using etcd = new EtcdClient({ ...cluster.clientOptions, endpoints });
    const watch = etcd.watch("k");
    const [lease] = await Promise.all([etcd.grantLease(5), watch.ready]);
    await etcd.put("k", `${clients}`, { lease });
    expect((await watch[Symbol.asyncIterator]().next()).value?.events[0]?.kv.text).toBe(`${clients}`);
    await lease.revoke();
  }
});

test("watches and leases of the first endpoint go on at the others when its certificate has expired", async () => {
  await using cluster = await startEtcd({ members: 3, tls: true });
  const [first, second, third] = cluster.endpoints as [string, string, string];
  await using proxy = await FaultProxy.start(first);
  await using secondProxy = await FaultProxy.start(second);
  await using thirdProxy = await FaultProxy.start(third);
  const others = [secondProxy, thirdProxy];
  const endpoints = [proxy, ...others].map(({ endpoint }) => endpoint);
  await using writer = new EtcdClient({ ...cluster.clientOptions, endpoints: [second, third] });
  await using etcd = new EtcdClient({ ...cluster.clientOptions, endpoints });
  // A client stays where it was served.
  await Promise.all(others.map((other) => other.down()));
  const mirror = etcd.mirror(prefix("live/"));
  const watch = etcd.watch(prefix("live/"));
  const changes = record(mirror);
  const events = record(watch);
  const lease = await etcd.grantLease(5);
  await Promise.all([mirror.ready, watch.ready]);
  await etcd.put("live/leased", "v", { lease });
  // Calls and streams have a connection each.
  expect(proxy.connections).toBe(2);
  await Promise.all(others.map((other) => other.up()));

  await tlsOf(cluster).replaceMember(0, { days: -1 });
  await writer.put("live/open", "connections stay as they are");
  await until(() => mirror.get("live/open") !== undefined);
  expect(proxy.connections).toBe(2);

  // No call is under way: it is the streams that ask it anew, are refused, and ask on.
  await Promise.all(others.map((other) => other.down()));
  // A TLS session that is resumed is not shown the certificate. A server that was restarted has forgotten its sessions.
  await cluster.member(0).kill();
  await cluster.member(0).restart();
  const dials = proxy.accepted;
  proxy.cut();
  await until(() => proxy.accepted > dials && proxy.connections === 0);
  expect([mirror.status, lease.signal.aborted, events.end]).toEqual(["stale", false, undefined]);
  await Promise.all(others.map((other) => other.up()));
  await writer.put("live/cut", "v");
  await until(() => mirror.get("live/cut") !== undefined && mirror.status === "live");
  await etcd.put("live/own", "v", { lease });
  // Renewed by a stream at another member: nothing else could keep it for longer than its time.
  const end = performance.now() + 1_500 * lease.ttlSeconds;
  await until(() => performance.now() > end);
  expect(lease.signal.aborted).toBe(false);
  expect((await lease.timeToLive()).keys.toSorted()).toEqual(["live/leased", "live/own"]);
  await until(() => keysOf(events.items).length === 4);
  expect(keysOf(events.items)).toEqual(["live/leased", "live/open", "live/cut", "live/own"]);
  expect(events.end).toBeUndefined();
  expect(changes.items.filter(({ type }) => type === "resynced")).toEqual([]);
  expect(proxy.connections).toBe(0);
  expect(await etcdErrorOf(etcd.status({ endpoint: proxy.endpoint }))).toMatchObject({
    message: expect.stringContaining(`${proxy.endpoint}: its certificate has expired`),
  });
});

function keysOf(batches: readonly { readonly events: readonly { readonly kv: { readonly key: string } }[] }[]) {
  return batches.flatMap((batch) => batch.events.map(({ kv }) => kv.key));
}
