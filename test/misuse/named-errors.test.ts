import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as door from "../../recipes/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../testing/index.ts";

// Who reads a log wants to know which call failed, and on which key. Etcd says neither.

const { prefix, putOp } = door;
const short = { timeoutMs: 200 };

let cluster: EtcdCluster;
let link: FaultProxy;
let client: door.EtcdClient;
let lease: door.Lease;
const made: AsyncDisposable[] = [];

function use<Made extends AsyncDisposable>(one: Made): Made {
  made.push(one);
  const { on } = one as { on?: (event: string, listener: () => void) => void };
  on?.call(one, "warning", () => {});
  return one;
}

beforeAll(async () => {
  cluster = await startEtcd();
  link = await FaultProxy.start(cluster.member(0).endpoint);
  client = new door.EtcdClient({ endpoints: link.endpoint, requestTimeoutMs: 1_000 });
  lease = await client.grantLease(600);
  await link.down();
});
afterAll(async () => {
  for (const one of made.reverse()) await one[Symbol.asyncDispose]();
  await client?.close();
  await link?.close();
  await cluster?.close();
});

/** The call, what it names itself by, and the key. */
const calls: [name: string, call: () => Promise<unknown>, method: string, key: string][] = [
  ["get", () => client.get("/k/1", short), "get", '"/k/1"'],
  ["get of a revision", () => client.get("/k/1", { ...short, revision: 1 }), "get", '"/k/1"'],
  ["range", () => client.range(prefix("/k/"), short), "range", 'prefix "/k/"'],
  ["range, counted", () => client.range(prefix("/k/"), { ...short, countOnly: true }), "range", 'prefix "/k/"'],
  ["iterate", () => client.iterate(prefix("/k/"), short).next(), "iterate", 'prefix "/k/"'],
  ["compact", () => client.compact(7, short), "compact", "7"],
  ["put", () => client.put("/k/1", "hunter2", short), "put", '"/k/1"'],
  ["put in a batch", () => client.put("/k/1", "hunter2", { ...short, batch: true }), "put", '"/k/1"'],
  ["delete", () => client.delete("/k/1", short), "delete", '"/k/1"'],
  ["delete in a batch", () => client.delete("/k/1", { ...short, batch: true }), "delete", '"/k/1"'],
  ["delete of a range", () => client.delete(prefix("/k/"), short), "delete", 'prefix "/k/"'],
  ["txn", () => client.txn({ success: [putOp("/k/1", "hunter2")] }, short), "txn", '"/k/1"'],
  ["stm", () => client.stm(async (tx) => void (await tx.get("/k/1")), short), "range", '"/k/1"'],
  ["grantLease", () => client.grantLease(60, short), "grantLease", "60 s"],
  ["grantLease with an id", () => client.grantLease(60, { ...short, id: door.leaseId("77") }), "grantLease", "77"],
  ["adoptLease", () => client.adoptLease(door.leaseId("77"), short), "adoptLease", "77"],
  ["keepAliveOnce", () => client.keepAliveOnce(lease, short), "keepAliveOnce", "lease"],
  ["syncEndpoints", () => client.syncEndpoints(short), "syncEndpoints", ""],
  ["leases", () => client.leases(short), "leases", ""],
  ["leaseTimeToLive", () => client.leaseTimeToLive(lease, short), "timeToLive", "lease"],
  ["Lease.timeToLive", () => lease.timeToLive(short), "timeToLive", "lease"],
  ["Lease.revoke", () => lease.revoke(short), "revoke", "lease"],
  ["status", () => client.status(short), "status", ""],
  ["status of an endpoint", () => client.status({ ...short, endpoint: link.endpoint }), "status", "http://127.0.0.1"],
  ["auth.enable", () => client.auth.enable(short), "auth.enable", ""],
  ["auth.disable", () => client.auth.disable(short), "auth.disable", ""],
  ["auth.status", () => client.auth.status(short), "auth.status", ""],
  ["users.add", () => client.auth.users.add("alice", "hunter2", short), "auth.users.add", '"alice"'],
  ["users.get", () => client.auth.users.get("alice", short), "auth.users.get", '"alice"'],
  ["users.list", () => client.auth.users.list(short), "auth.users.list", ""],
  ["users.delete", () => client.auth.users.delete("alice", short), "auth.users.delete", '"alice"'],
  ["changePassword", () => client.auth.users.changePassword("alice", "hunter2", short), "changePassword", '"alice"'],
  ["users.grantRole", () => client.auth.users.grantRole("alice", "r", short), "auth.users.grantRole", '"alice" "r"'],
  ["users.revokeRole", () => client.auth.users.revokeRole("alice", "r", short), "auth.users.revokeRole", '"alice" "r"'],
  ["roles.add", () => client.auth.roles.add("r", short), "auth.roles.add", '"r"'],
  ["roles.get", () => client.auth.roles.get("r", short), "auth.roles.get", '"r"'],
  ["roles.list", () => client.auth.roles.list(short), "auth.roles.list", ""],
  ["roles.delete", () => client.auth.roles.delete("r", short), "auth.roles.delete", '"r"'],
  ["roles.grant", () => client.auth.roles.grant("r", { type: "read", range: "k" }, short), "auth.roles.grant", '"r"'],
  ["roles.revoke", () => client.auth.roles.revoke("r", "k", short), "auth.roles.revoke", '"r"'],
  ["cluster.members", () => client.cluster.members(short), "cluster.members", ""],
  ["cluster.add", () => client.cluster.add("http://10.0.0.4:2380", short), "cluster.add", "http://10.0.0.4:2380"],
  ["addLearner", () => client.cluster.addLearner("http://10.0.0.4:2380", short), "cluster.addLearner", "10.0.0.4"],
  ["cluster.promote", () => client.cluster.promote("8e9e", short), "cluster.promote", "8e9e"],
  ["cluster.update", () => client.cluster.update("8e9e", "http://10.0.0.4:2380", short), "cluster.update", "8e9e"],
  ["cluster.remove", () => client.cluster.remove("8e9e", short), "cluster.remove", "8e9e"],
  ["alarms", () => client.maintenance.alarms(short), "maintenance.alarms", ""],
  ["disarm", () => client.maintenance.disarm({ ...short, alarm: "nospace" }), "maintenance.disarm", "nospace"],
  ["defragment", () => client.maintenance.defragment({ ...short, endpoint: link.endpoint }), "defragment", "127.0.0.1"],
  ["hashKv", () => client.maintenance.hashKv({ ...short, endpoint: link.endpoint }), "maintenance.hashKv", "127.0.0.1"],
  ["moveLeader", () => client.maintenance.moveLeader("8e9e", short), "maintenance.moveLeader", "8e9e"],
  ["snapshot", () => client.maintenance.snapshot(join(tmpdir(), "away.db"), short), "maintenance.snapshot", ""],
  ["downgrade", () => client.maintenance.downgrade("validate", "3.4", short), "maintenance.downgrade", "validate"],
  ["a closed watch", () => closedReady(client.watch("/k/1")), "watch", '"/k/1"'],
  ["a closed mirror", () => closedReady(client.mirror(prefix("/k/"))), "mirror", 'prefix "/k/"'],
  ["LeaderElection.leader", () => election().leader(short), "range|txn", "/leader/"],
  ["LeaderElection.candidates", () => election().candidates(short), "range|txn", "/leader/"],
  ["LeaderElection.proclaim", () => election().proclaim("me", short), "lead", "/leader"],
  ["Mutex.acquire", () => mutex().acquire(short), "free", "/lock"],
  ["Mutex.tryAcquire", () => mutex().tryAcquire(), "range|txn", "/lock/"],
  ["Mutex.run", () => mutex().run(() => 1, short), "free", "/lock"],
  ["Queue.enqueue", () => queue().enqueue("hunter2", short), "txn", "/queue/jobs/"],
  ["Queue.enqueueMany", () => queue().enqueueMany(["hunter2"], short), "txn", "/queue/jobs/"],
  ["Queue.size", () => queue().size(short), "range", "/queue/"],
  ["Queue.deadLetters", () => queue().deadLetters(short), "range", "/queue/"],
  ["Queue.putBack", () => queue().putBack("id-1", short), "get|range|txn", "/queue/dead/id-1"],
  ["Queue.discard", () => queue().discard("id-1", short), "delete|get|range|txn", "/queue/dead/id-1"],
  ["Storage.put", () => storage().put("/s/1", "hunter2", short), "put|get", "/s/1"],
  ["Storage.get", () => storage().get("/s/1", short), "get", "/s/1"],
  ["Storage.delete", () => storage().delete("/s/1", short), "deletion|get", "/s/1"],
  ["Storage.touch", () => storage().touch("/s/1", short), "touch|get", "/s/1"],
  ["CacheExpirer.track", () => caches().track("id-1", short), "track|touch|txn|get", "id-1"],
  ["CacheExpirer.touch", () => caches().touch("id-1", short), "touch|txn|get", "id-1"],
  ["CacheExpirer.evict", () => caches().evict("id-1", short), "evict|get", "id-1"],
  ["Cancellation.cancel", () => cancellation().cancel("run-1", "hunter2", short), "cancel|txn|grantLease", "run-1"],
  ["Confirmation.approve", () => confirmation().approve("id-1", "me", short), "approve|range|txn|get|decid", "id-1"],
  ["Confirmation.reject", () => confirmation().reject("id-1", "me", "no", short), "reject|range|txn|get|decid", "id-1"],
  ["Confirmation.pending", () => confirmation().pending(short), "range", "/confirm/"],
  ["SubscribeService.until", () => services().until(() => true, short), "list", "/services/"],
  ["SubscribeService.call", () => services().call(() => 1, short), "list", "/services/"],
  ["SubscribeService.pick", async () => services().pick(), "list", "/services/"],
];

async function closedReady(following: { readonly ready: Promise<unknown>; close(): Promise<void> }): Promise<unknown> {
  await following.close();
  return following.ready;
}

const election = () => use(new door.LeaderElection("/leader", "me", { client }));
const mutex = () => use(new door.Mutex("/lock", { client }));
const queue = () => use(new door.Queue("/queue", { client }));
const storage = () => use(new door.Storage({ client }));
const caches = () => use(new door.CacheExpirer("/caches/", { client, ttlSeconds: 60, onExpire: () => {} }));
const cancellation = () => use(new door.Cancellation("/cancel/", { client }));
const confirmation = () => use(new door.Confirmation("/confirm/", { client }));
const services = () => use(new door.SubscribeService("/services/", { client }));

test.each(calls)("%s", async (_name, call, method, key) => {
  const error = await call().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(door.EtcdError);
  const { message } = error as door.EtcdError;
  expect(message).toMatch(new RegExp(`\\b(${method})`));
  expect(message).toContain(key === "lease" ? lease.id : key);
  expect(message).not.toContain("hunter2");
  expect(message).not.toMatch(/\d\.\d{3,}/);
});
