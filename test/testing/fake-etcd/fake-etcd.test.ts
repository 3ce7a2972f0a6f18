import { tracingChannel } from "node:diagnostics_channel";
import { afterEach, expect, test } from "vitest";
import { LeaderElection, Mutex, Queue, ServiceRegister, SubscribeService } from "../../../recipes/index.ts";
import { EtcdClient, keyMissing, leaseId, prefix, putOp } from "../../../src/index.ts";
import type { CallMessage } from "../../../src/internal/channel-messages.ts";
import type { FakeEtcd } from "../../../testing/fake-etcd/index.ts";
import { type FakeEtcdOptions, fakeEtcd } from "../../../testing/fake-etcd.ts";
import { until } from "../../support/until.ts";

// fakeEtcd() as users have it. What it answers is held to a real etcd in protocol-contract.test.ts.

const unknown = leaseId("abc");
const made: FakeEtcd[] = [];
afterEach(async () => {
  for (const etcd of made.splice(0)) await etcd.close();
});

async function fake(options?: FakeEtcdOptions): Promise<FakeEtcd> {
  const etcd = await fakeEtcd(options);
  made.push(etcd);
  return etcd;
}

test("its clients are EtcdClients, and see what the others write", async () => {
  const etcd = await fake();
  const [a, b] = [etcd.client(), etcd.client({ namespace: "svc/" })];
  expect(a).toBeInstanceOf(EtcdClient);
  await a.put("svc/m1", "10.0.0.1:8080");
  expect((await b.get("m1"))?.text).toBe("10.0.0.1:8080");
  expect((await b.namespace("x/").put("k", "v")).revision).toBe(3);
  expect(etcd.dump()).toEqual({ "svc/m1": "10.0.0.1:8080", "svc/x/k": "v" });
  expect(etcd.dump(prefix("svc/x/"))).toEqual({ "svc/x/k": "v" });
  expect(etcd.entries("svc/m1")[0]).toMatchObject({ modRevision: 2, version: 1 });
  const { succeeded } = await a.txn({ compare: [keyMissing("svc/m1")], success: [putOp("other", "v")] });
  expect(succeeded).toBe(false);
  expect(await a.health()).toMatchObject({ healthy: true, endpoint: "http://fake-etcd:2379" });
  expect(await a.syncEndpoints()).toEqual(a.endpoints);
  expect(await a.status()).toMatchObject({ revision: 3, isLearner: false });
});

test("bytes that a test changes are not changed in etcd", async () => {
  const client = (await fake()).client();
  await client.put("k", "value");
  const read = await client.range("k");
  read.kvs[0]?.value.fill(0);
  expect((await client.get("k"))?.text).toBe("value");
});

test("in manual time a registration lives by its renewals, and ends with its lease", async () => {
  const etcd = await fake({ time: "manual", startMs: 0 });
  const services = new SubscribeService("/svc/", { client: etcd.client() });
  const server = new ServiceRegister("/svc/m1", "10.0.0.1:8080", 5, { client: etcd.options });
  for (const recipe of [services, server]) recipe.on("warning", () => {});
  await Promise.all([services.ready, server.ready]);
  const [lease] = etcd.leases;
  await etcd.advance(600_000);
  expect(etcd.nowMs()).toBe(600_000);
  expect(etcd.leases).toEqual([lease]);
  expect(services.list().map(({ address }) => address)).toEqual(["10.0.0.1:8080"]);
  // Without its renewals the lease ends, and not before its time.
  etcd.down();
  await etcd.advance(3_000);
  expect(etcd.dump()).toEqual({ "/svc/m1": "10.0.0.1:8080" });
  await etcd.advance(3_000);
  expect(etcd.dump()).toEqual({});
  expect(server.status).toBe("recovering");
  expect(services.list()).toHaveLength(1);
  // The registration comes back with a new lease, and the list follows.
  etcd.up();
  await etcd.advance(60_000);
  expect(etcd.dump()).toEqual({ "/svc/m1": "10.0.0.1:8080" });
  expect(server.status).toBe("registered");
  expect(services.list()).toHaveLength(1);
  await server.close();
  expect(etcd.dump()).toEqual({});
  expect(services.list()).toEqual([]);
  await services.close();
});

test.each([
  [2_000, 1_000],
  [1_000, 2_000],
])("calls of advance() that overlap, of %d and %d ms, never set the clock back", async (first, second) => {
  const etcd = await fake({ time: "manual", startMs: 0 });
  const seen: number[] = [];
  await Promise.all([first, second].map((ms) => etcd.advance(ms).then(() => seen.push(etcd.nowMs()))));
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(etcd.nowMs()).toBe(2_000);
});

test("a lease that is expired takes its keys with it, and recipes restore what was wiped", async () => {
  const etcd = await fake({ time: "manual" });
  const server = new ServiceRegister("/svc/m1", "10.0.0.1:8080", 5, { client: etcd.client() });
  await server.ready;
  const lost: unknown[] = [];
  server.on("lost", (error) => lost.push(error));
  for (const breakIt of [() => etcd.expireLease(etcd.leases[0] ?? unknown), () => etcd.wipe()]) {
    breakIt();
    expect(etcd.dump()).toEqual({});
    await etcd.advance(10_000);
    expect(etcd.dump()).toEqual({ "/svc/m1": "10.0.0.1:8080" });
  }
  expect(lost).toHaveLength(2);
  expect(() => etcd.expireLease(unknown)).toThrow(expect.objectContaining({ code: "ETCD_LEASE_NOT_FOUND" }));
  await server.close();
});

test("elections, locks and queues work over it, in manual time without waiting", async () => {
  const etcd = await fake({ time: "manual" });
  const client = etcd.client();
  const elections = ["a", "b"].map((name) => new LeaderElection("/leader", name, { client, ttlSeconds: 10 }));
  const led: string[] = [];
  const stop = new AbortController();
  const running = elections.map((election, index) =>
    election.lead(
      async (term) => {
        led.push(`${index}`);
        await new Promise((_, reject) => term.signal.addEventListener("abort", () => reject(term.signal.reason)));
      },
      { signal: stop.signal },
    ),
  );
  await etcd.advance(1_000);
  expect(led).toHaveLength(1);
  const [leader] = etcd.entries(prefix("/leader/")).sort((a, b) => a.createRevision - b.createRevision);
  etcd.expireLease(leader?.lease ?? unknown);
  await etcd.advance(1_000);
  expect(led).toHaveLength(2);
  expect(new Set(led).size).toBe(2);
  stop.abort(new Error("enough"));
  for (const election of running) await expect(election).rejects.toThrow("enough");
  expect(await new Mutex("/lock", { client }).run(() => "held")).toBe("held");
  const queue = new Queue("/jobs", { client });
  await queue.enqueue("work", { delayMs: 30_000 });
  const job = queue.dequeue();
  await etcd.advance(31_000);
  expect((await job).value).toBe("work");
  await (await job).ack();
  for (const recipe of [...elections, queue]) await recipe.close();
});

test("while it is down calls fail as they do where nothing listens; after goAway() all goes on", async () => {
  const etcd = await fake({ time: "manual" });
  const client = etcd.client({ requestTimeoutMs: 1_000 });
  const seen: string[] = [];
  client.on("connected", (endpoint) => seen.push(`connected ${endpoint}`));
  client.on("disconnected", () => seen.push("disconnected"));
  const watch = client.watch(prefix("k"));
  await watch.ready;
  etcd.down();
  const write = client.put("k", "1");
  const fails = expect(write).rejects.toMatchObject({
    code: "ETCD_UNAVAILABLE",
    retryable: true,
    outcomeUnknown: false,
  });
  expect(await Promise.race([client.health({ timeoutMs: 100 }), etcd.advance(1_000)])).toMatchObject({
    healthy: false,
  });
  await fails;
  etcd.up();
  await etcd.advance(5_000);
  await client.put("k", "2");
  etcd.goAway();
  await etcd.advance(5_000);
  await client.put("k", "3");
  const events: string[] = [];
  for await (const batch of watch) {
    events.push(...batch.events.map(({ kv }) => kv.text));
    if (events.length === 2) break;
  }
  expect(events).toEqual(["2", "3"]);
  const connected = "connected http://fake-etcd:2379";
  expect(seen).toEqual([connected, "disconnected", connected, "disconnected", connected]);
});

test("a call takes its latency, and a connection that breaks under it leaves its outcome unknown", async () => {
  const etcd = await fake({ time: "manual", latencyMs: 100 });
  const client = etcd.client();
  const settled: string[] = [];
  void client.put("k", "1").then(() => settled.push("put"));
  await etcd.advance(99);
  expect(settled).toEqual([]);
  expect(etcd.dump()).toEqual({ k: "1" });
  await etcd.advance(1);
  expect(settled).toEqual(["put"]);
  const write = client.put("k", "2").catch((error) => error);
  await etcd.advance(60);
  etcd.goAway();
  expect(await write).toMatchObject({ code: "ETCD_UNAVAILABLE", outcomeUnknown: true });
  expect(etcd.dump()).toEqual({ k: "2" });
  const late = client.get("k", { timeoutMs: 50 }).catch((error) => error);
  await etcd.advance(50);
  expect(await late).toMatchObject({ code: "ETCD_TIMEOUT" });
});

test("its calls come on the diagnostics channel, each attempt counted", async () => {
  const etcd = await fake({ time: "manual" });
  const client = etcd.client({ requestTimeoutMs: 1_000 });
  const messages: CallMessage[] = [];
  const channel = tracingChannel<unknown, CallMessage>("etcd-recipes:call");
  const listeners = { asyncEnd: (message: CallMessage) => void messages.push(message) } as never;
  channel.subscribe(listeners);
  try {
    await client.put("k", "1");
    await client.leases();
    etcd.down();
    const failing = client.compact(1).catch(() => {});
    await etcd.advance(1_000);
    await failing;
  } finally {
    channel.unsubscribe(listeners);
  }
  const endpoint = "http://fake-etcd:2379";
  expect(messages).toMatchObject([
    { service: "etcdserverpb.KV", method: "Put", endpoint, attempt: 1 },
    { service: "etcdserverpb.Lease", method: "LeaseLeases", endpoint, attempt: 1 },
    { service: "etcdserverpb.KV", method: "Compact", endpoint, grpcStatus: 14, code: "ETCD_UNAVAILABLE" },
  ]);
  expect(messages[2]?.attempt).toBeGreaterThan(1);
});

test("what is compacted is gone, as for any client", async () => {
  const etcd = await fake();
  const client = etcd.client();
  await client.put("k", "1");
  await client.put("k", "2");
  etcd.compact();
  expect(etcd.compactRevision).toBe(3);
  await expect(client.get("k", { revision: 2 })).rejects.toMatchObject({ code: "ETCD_COMPACTED" });
  const watch = client.watch("k", { startRevision: 2 });
  await expect(watch[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "ETCD_COMPACTED" });
  expect(() => etcd.compact()).toThrow(expect.objectContaining({ code: "ETCD_COMPACTED" }));
  expect(() => etcd.compact(99)).toThrow(expect.objectContaining({ code: "ETCD_FUTURE_REVISION" }));
});

test("what it does not have it refuses by name; limits are those that it is given", async () => {
  const etcd = await fake({ maxTxnOps: 2, maxRequestBytes: 1_000 });
  const client = etcd.client();
  for (const [call, missing] of [
    [() => client.auth.enable(), "users and roles"],
    [() => client.auth.users.add("u", "p"), "users and roles"],
    [() => client.cluster.addLearner(["http://x:2380"]), "a second member"],
    [() => client.maintenance.hashKv(), "a database"],
    [() => client.maintenance.downgrade("cancel"), "another version"],
  ] as const) {
    await expect(call()).rejects.toMatchObject({
      code: "ETCD_REQUEST_REFUSED",
      message: expect.stringContaining(`not supported by fakeEtcd(), which lacks ${missing}: use startEtcd()`),
    });
  }
  expect(await client.auth.status()).toMatchObject({ enabled: false });
  expect(() => client.setEndpoints("http://other:2379")).toThrow("this etcd is in memory");
  await expect(client.put("k", "x".repeat(1_000))).rejects.toMatchObject({ beyond: "requestBytes" });
  const three = { success: [putOp("a", ""), putOp("b", ""), putOp("c", "")] };
  await expect(client.txn(three)).rejects.toMatchObject({ beyond: "operations" });
});

test("the same seed in manual time gives the same ids, delays and revisions", async () => {
  const run = async (seed: number) => {
    const etcd = await fake({ time: "manual", seed });
    const server = new ServiceRegister("/svc/m1", "10.0.0.1:8080", 5, { client: etcd.client() });
    server.on("warning", () => {});
    await server.ready;
    etcd.down();
    await etcd.advance(20_000);
    etcd.up();
    await etcd.advance(20_000);
    const seen = { leases: etcd.leases, entries: JSON.stringify(etcd.entries()) };
    await server.close();
    return seen;
  };
  expect(await run(7)).toEqual(await run(7));
  expect((await run(8)).leases).not.toEqual((await run(7)).leases);
});

test("by default its leases live by real time", async () => {
  const etcd = await fake();
  const client = etcd.client();
  const beganMs = performance.now();
  const lease = await client.grantLease(1, { keepAlive: false });
  await client.put("k", "v", { lease });
  expect(etcd.dump()).toEqual({ k: "v" });
  await until(() => etcd.leases.length === 0);
  expect(etcd.dump()).toEqual({});
  // etcd grants two seconds at least.
  expect(performance.now() - beganMs).toBeGreaterThanOrEqual(1_999);
  await expect(etcd.advance(1)).rejects.toThrow("time is not manual");
});

test("after close() its clients are closed, and clients of recipes find nothing there", async () => {
  const etcd = await fake({ time: "manual" });
  const [client, other] = [etcd.client(), new EtcdClient(etcd.options)];
  const lease = await client.grantLease(60);
  etcd.down();
  await etcd.close();
  expect(client.closed).toBe(true);
  expect(lease.signal.aborted).toBe(true);
  expect(other.closed).toBe(false);
  await other.close();
});

test.each(["goAway", "wipe"] as const)("%s() leaves it down, and closed, as it is", async (fault) => {
  const etcd = await fake({ time: "manual" });
  const client = new EtcdClient(etcd.options);
  const fails = async () => {
    etcd[fault]();
    const asked = expect(client.get("k")).rejects.toMatchObject({ code: "ETCD_UNAVAILABLE" });
    await etcd.advance(6_000);
    await asked;
  };
  etcd.down();
  await fails();
  etcd.up();
  await client.put("k", "v");
  await etcd.close();
  await fails();
  await client.close();
});

test("close() ends also while a lease is on its way and time stands still", async () => {
  const etcd = await fake({ time: "manual", latencyMs: 500 });
  const client = etcd.client();
  const asked = client.grantLease(60).catch((error) => error.code);
  await etcd.advance(100);
  await etcd.close();
  expect(await asked).toBe("ETCD_CLOSED");
  expect(client.closed).toBe(true);
});

test.each([
  [{ tyme: "real" }, 'fakeEtcd: there is no option "tyme", only time, startMs'],
  [{ time: "fast" }, 'fakeEtcd: time must be "real", "manual" or "globals", not "fast"'],
  [{ latencyMs: -1 }, "fakeEtcd: latencyMs must be a number of milliseconds, at least 0, not -1"],
  [{ seed: 0.5 }, "fakeEtcd: seed must be a whole number of at least 0, not 0.5"],
  [{ startMs: 0 }, 'goes with time: "manual" only'],
  [null, "fakeEtcd: options must be an object"],
])("options that are none are refused: %j", async (options, message) => {
  await expect(fakeEtcd(options as FakeEtcdOptions)).rejects.toThrow(message);
});
