import { EventEmitter } from "node:events";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as door from "../../recipes/index.ts";
import { RegistryLab } from "../support/registry-lab.ts";
import type { FuzzedCall } from "./hostile-options.ts";

let lab: RegistryLab;
let server: door.ServiceRegister;
let services: door.SubscribeService;
let group: door.RegistrationGroup;
let queue: door.Queue;
let storage: door.Storage;
let caches: door.CacheExpirer;
let cancellation: door.Cancellation;
let confirmation: door.Confirmation;
let monitor: door.ClusterMonitor;
let membership: ReturnType<door.ClusterMonitor["join"]>;
let lease: door.Lease;
let mirror: door.Mirror;
let values: door.TypedClient<unknown, unknown>;
let typedMirror: door.TypedMirror<unknown>;
let member: door.GroupMember;
let registered = 0;

type AnyFunction = (...args: unknown[]) => unknown;

const call = ["signal", "timeoutMs"];
const bounds = ["minModRevision", "maxModRevision", "minCreateRevision", "maxCreateRevision"];
const rangeNames = ["revision", "serializable", "limit", "keysOnly", "sort", ...bounds];
const permission = {
  what: "roles.grant, permission",
  args: [{ type: "read", range: "/k" }],
  call: (given: unknown) => lab.etcd.auth.roles.grant("reader", given as never),
};
/** By name. */
const exported: Readonly<Record<string, unknown>> = { ...door };

/** Something of everything that the package has, with an etcd of its own. */
export async function startPublicCalls(): Promise<void> {
  lab = await RegistryLab.start();
  process.env.ETCD_ENDPOINTS = lab.endpoint;
  const client = lab.etcd;
  server = lab.register("/fuzz/called/own", "10.0.0.1:80", 60, { metadata: {} });
  lab.register("/fuzz/listed/m1", "10.0.0.1:80", 60);
  services = lab.subscribe("/fuzz/listed/");
  await services.until((list) => list.length === 1);
  group = new door.RegistrationGroup("/fuzz/group/", 60, { client });
  queue = new door.Queue("/fuzz/queue", { client });
  storage = new door.Storage({ client });
  caches = new door.CacheExpirer("/fuzz/caches/", { client, ttlSeconds: 60, onExpire: () => {} });
  cancellation = new door.Cancellation("/fuzz/cancel/", { client });
  confirmation = new door.Confirmation("/fuzz/confirm/", { client });
  monitor = new door.ClusterMonitor("/fuzz/monitor/", { client });
  membership = monitor.join("own", {});
  lease = await client.grantLease(600);
  mirror = client.mirror("/fuzz/mirror");
  values = client.typed(door.anyJson);
  typedMirror = values.mirror("/json");
  member = group.register("own", "10.0.0.1:80");
  await Promise.all(
    [server, services, caches, cancellation, confirmation, monitor, membership].map(({ ready }) => ready),
  );
  for (const made of [group, queue, storage, caches, cancellation, confirmation, monitor]) lab.also(() => made.close());
}

export async function endPublicCalls(): Promise<void> {
  await door.defaultClient().close();
  delete process.env.ETCD_ENDPOINTS;
  await lab?.[Symbol.asyncDispose]();
}

/** Every public call, and what it is given that is right, once the lab is there. */
export const publicCalls: (() => FuzzedCall)[] = [
  // The client and its calls.
  () => ({
    what: "EtcdClient",
    args: [{ endpoints: lab.endpoint }],
    names: [
      "endpoints",
      "namespace",
      "dialTimeoutMs",
      "requestTimeoutMs",
      "autoBatch",
      "followMembers",
      "warnUnreachable",
      "auth",
      "tls",
    ],
    call: (options) => new door.EtcdClient(options as never),
  }),
  () => method(lab.etcd, "get", ["/k"], [...call, "revision", "serializable"]),
  () => method(lab.etcd, "range", ["/k"], [...call, ...rangeNames, "countOnly"]),
  () => ({
    ...method(lab.etcd, "iterate", ["/k"], [...call, ...rangeNames]),
    call: async (...args) => {
      for await (const _ of (lab.etcd.iterate as AnyFunction)(...args) as AsyncIterable<unknown>) break;
    },
  }),
  () => method(lab.etcd, "compact", [1], [...call, "physical"]),
  () => method(lab.etcd, "put", ["/k", ""], [...call, "lease", "previous", "batch", "ignoreValue", "ignoreLease"]),
  () => method(lab.etcd, "delete", ["/k"], [...call, "previous", "batch"]),
  () => ({ ...method(lab.etcd, "txn", [], ["compare", "success", "failure"]), what: "txn, request" }),
  () => method(lab.etcd, "txn", [{ success: [door.getOp("/k")] }], call),
  () => method(lab.etcd, "stm", [() => {}], call),
  () => method(lab.etcd, "grantLease", [60], [...call, "keepAlive", "renewEverySeconds", "id"]),
  () => method(lab.etcd, "adoptLease", [lease], [...call, "keepAlive", "renewEverySeconds"]),
  () => method(lab.etcd, "keepAliveOnce", [lease], call),
  () => method(lab.etcd, "leases", [], call),
  () => method(lab.etcd, "health", [], [...call, "endpoint"]),
  () => method(lab.etcd, "syncEndpoints", [], call),
  () => ({
    what: "setEndpoints",
    args: [lab.endpoint],
    // Of a client of its own: any text is the name of a host.
    call: async (endpoints) => {
      const client = new door.EtcdClient({ endpoints: lab.endpoint });
      try {
        client.setEndpoints(endpoints as string);
      } finally {
        await client.close();
      }
    },
  }),
  () => method(lab.etcd, "leaseTimeToLive", [lease], [...call, "keys"]),
  () => method(lease, "timeToLive", [], [...call, "keys"]),
  () => ({
    ...method(lease, "revoke", [], call),
    call: async (options) => {
      const revoked = await lab.etcd.grantLease(60, { keepAlive: false });
      try {
        await revoked.revoke(options as never);
      } finally {
        await revoked.revoke();
      }
    },
  }),
  () => method(mirror, "get", ["/k"]),
  () =>
    method(
      lab.etcd,
      "watch",
      ["/k"],
      ["startRevision", "previous", "filters", "maxBufferedEvents", "onStatus", "signal"],
    ),
  () => method(lab.etcd, "mirror", ["/k"], ["maxBufferedChanges", "onStatus", "signal"]),
  () => method(lab.etcd, "typed", [door.anyJson]),
  () => method(values, "get", ["/json"], [...call, "revision", "serializable"]),
  () => ({
    ...method(values, "put", ["/json", 1], [...call, "lease", "previous", "batch", "ignoreLease"]),
    free: [1],
  }),
  () => method(typedMirror, "get", ["/json"]),
  () =>
    method(
      values,
      "range",
      ["/json"],
      [...call, ...rangeNames].filter((name) => name !== "keysOnly"),
    ),
  () =>
    method(
      values,
      "watch",
      ["/json"],
      ["startRevision", "previous", "filters", "maxBufferedEvents", "onStatus", "signal"],
    ),
  () => method(values, "mirror", ["/json"], ["maxBufferedChanges", "onStatus", "signal"]),
  () => method(lab.etcd, "namespace", ["team-a/"]),
  () => method(lab.etcd, "status", [], [...call, "endpoint"]),
  () => method(lab.etcd.auth, "enable", [], call),
  () => method(lab.etcd.auth, "disable", [], call),
  () => method(lab.etcd.auth, "status", [], call),
  () => method(lab.etcd.auth.users, "add", ["alice", "password"], call),
  () => method(lab.etcd.auth.users, "get", ["alice"], call),
  () => method(lab.etcd.auth.users, "list", [], call),
  () => method(lab.etcd.auth.users, "delete", ["bob"], call),
  () => method(lab.etcd.auth.users, "changePassword", ["bob", "password"], call),
  () => method(lab.etcd.auth.users, "grantRole", ["alice", "reader"], call),
  () => method(lab.etcd.auth.users, "revokeRole", ["alice", "reader"], call),
  () => method(lab.etcd.auth.roles, "add", ["reader"], call),
  () => method(lab.etcd.auth.roles, "get", ["reader"], call),
  () => method(lab.etcd.auth.roles, "list", [], call),
  () => method(lab.etcd.auth.roles, "delete", ["writer"], call),
  () => method(lab.etcd.auth.roles, "grant", ["reader", { type: "read", range: "/k" }], call),
  () => ({ ...method(lab.etcd.auth.roles, "grant", [], ["type", "range"]), ...permission }),
  () => method(lab.etcd.auth.roles, "revoke", ["reader", "/k"], call),
  () => method(lab.etcd.cluster, "members", [], [...call, "serializable"]),
  // A member that is added and never comes would end this cluster: all that is right here is refused by etcd.
  ...(["add", "addLearner"] as const).map((name) => () => ({
    ...method(lab.etcd.cluster, name, ["http://10.0.0.4:2380"], call),
    call: async (urls: unknown, options: unknown) => {
      const [own] = await lab.etcd.cluster.members();
      const taken = urls === "http://10.0.0.4:2380" ? own?.peerUrls : urls;
      await lab.etcd.cluster[name](taken as string, options as never);
    },
  })),
  () => method(lab.etcd.cluster, "promote", ["1"], call),
  () => method(lab.etcd.cluster, "update", ["1", "http://10.0.0.4:2380"], call),
  () => method(lab.etcd.cluster, "remove", ["1"], call),
  () => method(lab.etcd.maintenance, "status", [], [...call, "endpoint"]),
  () => method(lab.etcd.maintenance, "alarms", [], call),
  () => method(lab.etcd.maintenance, "disarm", [], [...call, "memberId", "alarm"]),
  () => method(lab.etcd.maintenance, "defragment", [], [...call, "endpoint"]),
  () => method(lab.etcd.maintenance, "hashKv", [], [...call, "endpoint", "revision"]),
  () => method(lab.etcd.maintenance, "moveLeader", ["1"], call),
  () => ({
    ...method(lab.etcd.maintenance, "snapshot", ["snapshot.db"], [...call, "endpoint", "onProgress"]),
    call: async (file: unknown, options: unknown) => {
      const isName = typeof file === "string" && file !== "" && !file.includes("\0");
      const path = join(tmpdir(), `etcd-recipes-fuzz-${process.pid}.db`);
      try {
        await lab.etcd.maintenance.snapshot((isName ? path : file) as string, options as never);
      } finally {
        rmSync(path, { force: true });
      }
    },
  }),
  () => method(lab.etcd.maintenance, "downgrade", ["validate", "3.4"], call),
  () => plain("leaseId", ["5"]),
  () => plain("prefix", ["/k"]),
  () => plain("keyRange", ["/a", "/b"]),
  () => ({
    what: "putOp",
    args: ["/k", "", {}],
    names: ["lease", "previous", "ignoreValue", "ignoreLease"],
    call: (...args) => executed(door.putOp, args),
  }),
  () => ({
    what: "getOp",
    args: ["/k", {}],
    names: ["revision", "serializable"],
    call: (...args) => executed(door.getOp, args),
  }),
  () => ({
    what: "rangeOp",
    args: ["/k", {}],
    names: [...rangeNames, "countOnly"],
    call: (...args) => executed(door.rangeOp, args),
  }),
  () => ({ what: "deleteOp", args: ["/k", {}], names: ["previous"], call: (...args) => executed(door.deleteOp, args) }),
  () => ({
    what: "txnOp",
    args: [{}],
    names: ["compare", "success", "failure"],
    call: (...args) => executed(door.txnOp, args),
  }),
  ...(["compareVersion", "compareCreateRevision", "compareModRevision", "compareValue", "compareLease"] as const).map(
    (name) => (): FuzzedCall => ({
      what: name,
      args: ["/k", "equal", { compareValue: "v", compareLease: lease }[name as string] ?? 1],
      call: (...args) => lab.etcd.txn({ compare: [(exported[name] as AnyFunction)(...args) as never] }),
    }),
  ),
  ...(["keyMissing", "keyExists"] as const).map(
    (name) => (): FuzzedCall => ({
      what: name,
      args: ["/k"],
      call: (...args) => lab.etcd.txn({ compare: [(exported[name] as AnyFunction)(...args) as never] }),
    }),
  ),
  // A process.
  () => ({
    what: "measure",
    args: [{ add: () => {}, record: () => {} }],
    call: (...args) => door.measure(...(args as [never])).close(),
  }),
  () => ({
    what: "reachableAddress",
    args: [{ address: "10.0.0.1", family: "IPv4", port: 80 }, "10.0.0.2", "address"],
    call: (...args) => void door.reachableAddress(...(args as [never])),
  }),
  () => ({ what: "readiness", args: [server], call: (...args) => void door.readiness(...(args as [])) }),
  () => ({
    what: "shutdown",
    args: [{ signals: ["SIGUSR2"] }],
    names: ["recipes", "servers", "signals", "drainMs", "timeoutMs"],
    call: (options) => door.shutdown(options as object).cancel(),
  }),
  // Registering.
  () => ({
    what: "ServiceRegister",
    args: ["/fuzz/register/m1", "10.0.0.1:80", 5, { client: lab.etcd }],
    names: [
      "client",
      "metadata",
      "weight",
      "format",
      "foreignFormats",
      "onConflict",
      "lease",
      "health",
      "healthEverySeconds",
    ],
    call: (...args) => create(door.ServiceRegister, args),
  }),
  () => method(server, "update", [{}], ["signal"]),
  () => ({ ...method(server, "update", [], ["address", "metadata", "weight", "draining"]), what: "update, fields" }),
  () => ({
    what: "RegistrationGroup",
    args: ["/fuzz/groups/", 5, { client: lab.etcd }],
    names: ["client", "onConflict", "foreignFormats"],
    call: (...args) => create(door.RegistrationGroup, args),
  }),
  () => method(group, "register", ["m1", "10.0.0.1:80"], ["metadata", "weight", "format", "onConflict"]),
  () => method(group, "get", ["m1"]),
  () => method(member, "update", [{}], ["signal"]),
  ...[
    () => lab.register("/fuzz/left/m1", "10.0.0.1:80", 5),
    () => new door.RegistrationGroup("/fuzz/left/", 5, { client: lab.etcd }),
    () => group.register(`left-${++registered}`, "10.0.0.1:80"),
  ].map((make, index): (() => FuzzedCall) => () => ({
    what: ["ServiceRegister.close", "RegistrationGroup.close", "RegisteredMember.close"][index] as string,
    args: [{}],
    names: ["drainMs"],
    call: async (options) => {
      const made = make();
      try {
        await made.close(options as never);
      } finally {
        await made.close();
      }
    },
  })),
  // The list, and who is chosen from it.
  () => ({
    what: "SubscribeService",
    args: ["/fuzz/services/", { client: lab.etcd }],
    names: [
      "client",
      "metadata",
      "format",
      "balancer",
      "zone",
      "slowStartMs",
      "changeDelayMs",
      "changeMaxDelayMs",
      "outlierDetection",
      "maxDropRatio",
      "dropHoldMs",
    ],
    call: (...args) => create(door.SubscribeService, args),
  }),
  () => ({
    what: "outlierDetection",
    args: [{}],
    names: [
      "consecutiveFailures",
      "failureRate",
      "minimumCalls",
      "windowMs",
      "baseEjectionMs",
      "maxEjectionMs",
      "maxEjectedRatio",
    ],
    call: (outlierDetection) => create(door.SubscribeService, ["/fuzz/s/", { client: lab.etcd, outlierDetection }]),
  }),
  () =>
    method(
      services,
      "view",
      [{ draining: false }],
      ["balancer", "zone", "slowStartMs", "changeDelayMs", "changeMaxDelayMs"],
    ),
  () => ({ ...method(services, "view", [], ["zone", "version", "draining", "metadata"]), what: "view, filter" }),
  () => method(services, "pick", [], ["key"]),
  () => ({ ...method(services, "until", [() => true], call), args: [() => true, { timeoutMs: 200 }] }),
  () => method(services, "call", [() => 1], [...call, "attempts", "key"]),
  () => ({ ...method(services, "report", [services.list()[0], undefined], ["latencyMs"]), free: [1] }),
  ...Object.entries({
    RoundRobin: ["random"],
    WeightedRoundRobin: ["id", "weight", "random"],
    P2c: ["id", "weight", "random", "nowMs", "decayMs"],
    LeastRequests: ["id", "weight", "random"],
    ConsistentHash: ["id", "weight", "random", "loadFactor"],
  }).map(
    ([name, names]) =>
      (): FuzzedCall => ({ what: name, args: [{}], names, call: (...args) => create(exported[name], args) }),
  ),
  () => ({ what: "RandomChoice", args: [Math.random], call: (...args) => create(door.RandomChoice, args) }),
  () => ({
    what: "SlowStart",
    args: [new door.RoundRobin(), { slowStartMs: 5 }],
    names: ["slowStartMs", "initialShare", "weight", "id", "incarnation", "candidates", "random", "nowMs"],
    call: (...args) => create(door.SlowStart as never, args),
  }),
  () => ({
    what: "ZonePreference",
    args: [new door.RoundRobin(), { zone: "a" }],
    names: ["zone", "zoneOf"],
    call: (...args) => create(door.ZonePreference as never, args),
  }),
  // Leading and locking.
  () => ({
    what: "LeaderElection",
    args: ["/fuzz/leader", "me", { client: lab.etcd }],
    names: ["client", "ttlSeconds", "renewEverySeconds", "health", "healthEverySeconds"],
    call: (...args) => create(door.LeaderElection, args),
  }),
  () => ({ what: "lead", args: [() => 1, {}], names: ["signal"], call: (...args) => onElection("lead", args) }),
  () => ({ what: "leader", args: [{}], names: call, call: (...args) => onElection("leader", args) }),
  () => ({ what: "candidates", args: [{}], names: call, call: (...args) => onElection("candidates", args) }),
  () => ({ what: "proclaim", args: ["v", {}], names: call, call: (...args) => onElection("proclaim", args) }),
  () => ({
    what: "observe",
    args: [{}],
    names: ["signal"],
    call: (...args) =>
      onElection("observe", args, async (leaders) => {
        for await (const _ of leaders as AsyncIterable<unknown>) break;
      }),
  }),
  () => ({
    what: "Mutex",
    args: ["/fuzz/lock", { client: lab.etcd }],
    names: ["client", "ttlSeconds"],
    call: (...args) => create(door.Mutex, args),
  }),
  () => ({
    what: "RunningTerm.txn",
    args: [{ success: [door.getOp("/k")] }, {}],
    names: call,
    call: (...args) => inTerm((term) => (term.txn as AnyFunction)(...args)),
  }),
  () => ({
    what: "RunningTerm.proclaim",
    args: ["v", {}],
    names: call,
    call: (...args) => inTerm((term) => (term.proclaim as AnyFunction)(...args)),
  }),
  () => ({
    what: "HeldLock.txn",
    args: [{ success: [door.getOp("/k")] }, {}],
    names: call,
    call: (...args) => inLock((lock) => (lock.txn as AnyFunction)(...args)),
  }),
  ...(["acquire", "tryAcquire"] as const).map(
    (name) => (): FuzzedCall => ({
      what: name,
      args: [{}],
      names: name === "acquire" ? call : ["signal"],
      call: (...args) => onMutex(name, args, (lock) => (lock as door.Lock | undefined)?.release()),
    }),
  ),
  () => ({ what: "run", args: [() => 1, {}], names: call, call: (...args) => onMutex("run", args) }),
  // Work.
  () => ({
    what: "Queue",
    args: ["/fuzz/queues", { client: lab.etcd }],
    names: ["client", "ttlSeconds", "maxAttempts", "visibilitySeconds"],
    call: (...args) => create(door.Queue, args),
  }),
  () => method(queue, "enqueue", ["v"], [...call, "delayMs", "id"]),
  () => method(queue, "enqueueMany", [["v"]], [...call, "delayMs"]),
  () => ({
    ...method(queue, "dequeue", [], ["signal", "visibilitySeconds"]),
    call: async (options) => {
      await queue.enqueue("v");
      const job = await queue.dequeue(options as never);
      await job.ack();
    },
  }),
  ...["ack", "release"].map(
    (name) => (): FuzzedCall => ({
      what: name,
      args: [{}],
      names: name === "ack" ? ["signal"] : ["signal", "delayMs"],
      call: async (options) => {
        await queue.enqueue("v");
        const job = (await queue.dequeue()) as unknown as Record<string, AnyFunction>;
        try {
          await job[name]?.(options);
        } finally {
          await Promise.resolve(job.ack?.()).catch(() => {});
        }
      },
    }),
  ),
  () => method(queue, "size", [], call),
  () => method(queue, "deadLetters", [], call),
  () => method(queue, "putBack", ["id"], call),
  () => method(queue, "discard", ["id"], call),
  () => ({
    what: "Storage",
    args: [{ client: lab.etcd }],
    names: ["client"],
    call: (...args) => create(door.Storage, args),
  }),
  () => method(storage, "watch", ["/fuzz/storage/", () => {}, () => {}], ["initial", "concurrency", "signal"]),
  () => method(storage, "put", ["/fuzz/storage/k", "v"], [...call, "ttlSeconds"]),
  () => method(storage, "get", ["/fuzz/storage/k"], call),
  () => method(storage, "delete", ["/fuzz/storage/k"], call),
  () => method(storage, "touch", ["/fuzz/storage/k"], [...call, "ttlSeconds"]),
  () => ({
    what: "CacheExpirer",
    args: ["/fuzz/expirers/", { client: lab.etcd, ttlSeconds: 60, onExpire: () => {} }],
    names: ["client", "ttlSeconds", "onExpire", "known", "concurrency", "maxDropRatio"],
    call: (...args) => create(door.CacheExpirer, args),
  }),
  () => method(caches, "track", ["id"], call),
  () => method(caches, "touch", ["id"], call),
  () => method(caches, "evict", ["id"], call),
  // Agreeing.
  () => ({
    what: "Cancellation",
    args: ["/fuzz/cancellations/", { client: lab.etcd }],
    names: ["client", "ttlSeconds"],
    call: (...args) => create(door.Cancellation, args),
  }),
  () => method(cancellation, "signal", ["run-1"]),
  () => method(cancellation, "cancel", ["run-2", "reason"], call),
  () => method(cancellation, "release", ["run-3"]),
  () => ({
    what: "Confirmation",
    args: ["/fuzz/confirmations/", { client: lab.etcd }],
    names: ["client", "retainSeconds"],
    call: (...args) => create(door.Confirmation, args),
  }),
  () => ({
    ...method(confirmation, "request", ["id"], ["timeoutSeconds", "signal"]),
    args: ["id", { timeoutSeconds: 1 }],
  }),
  () => method(confirmation, "approve", ["id", "me"], call),
  () => method(confirmation, "reject", ["id", "me", "reason"], call),
  () => method(confirmation, "pending", [], call),
  () => ({
    what: "ClusterMonitor",
    args: ["/fuzz/monitors/", { client: lab.etcd }],
    names: ["client", "ttlSeconds", "info", "format"],
    call: (...args) => create(door.ClusterMonitor, args),
  }),
  () => ({ ...method(monitor, "join", ["worker-1", {}]), free: [1] }),
  () => ({ ...method(membership, "update", [{}]), free: [0] }),
  () => ({
    ...method(membership, "leave", [], ["drainMs"]),
    call: async (options) => {
      const leaving = monitor.join("leaving", {});
      try {
        await leaving.leave(options as never);
      } finally {
        await leaving.close();
      }
    },
  }),
  () => ({
    ...method(monitor, "close", [], ["drainMs"]),
    call: async (options) => {
      const closing = new door.ClusterMonitor("/fuzz/closing/", { client: lab.etcd });
      try {
        await closing.close(options as never);
      } finally {
        await closing.close();
      }
    },
  }),
  () => ({
    what: "setDefaultClient",
    args: [lab.etcd],
    call: (...args) => (door.setDefaultClient as AnyFunction)(...args),
  }),
];

/** A method of something that is there already; its options are the last argument. */
function method(of: object, name: string, args: unknown[], names?: readonly string[]): FuzzedCall {
  const called = (...given: unknown[]) => (of as Record<string, AnyFunction>)[name]?.(...given);
  const what = `${of.constructor.name}.${name}`;
  return names ? { what, args: [...args, {}], names, call: called } : { what, args, call: called };
}

function plain(name: "leaseId" | "prefix" | "keyRange", args: unknown[]): FuzzedCall {
  return { what: name, args, call: (...given) => void (exported[name] as AnyFunction)(...given) };
}

function create(Made: unknown, args: unknown[]): unknown {
  return new (Made as new (...given: unknown[]) => unknown)(...args);
}

/** An operation is checked at the latest when it is sent. */
function executed(make: unknown, args: unknown[]): unknown {
  return lab.etcd.txn({ success: [(make as AnyFunction)(...args) as door.Op] });
}

async function onElection(name: string, args: unknown[], then: (result: unknown) => unknown = () => {}) {
  await using election = new door.LeaderElection("/fuzz/led", "me", { client: lab.etcd });
  await then(await (election as unknown as Record<string, AnyFunction>)[name]?.(...args));
}

/** Of everything that has methods, one. */
export async function publicObjects(): Promise<object[]> {
  const watch = lab.etcd.watch("/k");
  const followed = storage.watch(
    "/fuzz/followed/",
    () => {},
    () => {},
  );
  const election = new door.LeaderElection("/fuzz/objects", "me", { client: lab.etcd });
  const mutex = new door.Mutex("/fuzz/objects-lock", { client: lab.etcd });
  for (const made of [watch, followed, election, mutex]) lab.also(() => made.close());
  await queue.enqueue("v");
  const job = await queue.dequeue();
  await job.ack();
  const term = await inTerm((running) => running);
  const lock = await inLock((held) => held);
  const view = services.view({});
  const recipes = [server, services, group, queue, storage, caches, cancellation, confirmation, monitor];
  const typedWatch = values.watch("/k");
  lab.also(() => typedWatch.close());
  const others = [
    values,
    typedWatch,
    typedMirror,
    watch,
    mirror,
    lease,
    member,
    membership,
    followed,
    election,
    mutex,
    job,
    term,
    lock,
    view,
  ];
  const { auth, cluster, maintenance } = lab.etcd;
  const admin = [auth, auth.users, auth.roles, cluster, maintenance];
  return [lab.etcd, ...admin, ...recipes, ...(others as object[])];
}

async function inTerm<T>(work: (term: door.Term) => T | Promise<T>): Promise<T> {
  await using election = new door.LeaderElection("/fuzz/term", "me", { client: lab.etcd });
  return await election.lead(work);
}

async function inLock<T>(work: (lock: door.Lock) => T | Promise<T>): Promise<T> {
  await using mutex = new door.Mutex("/fuzz/held", { client: lab.etcd });
  return await mutex.run(work);
}

async function onMutex(name: string, args: unknown[], then: (result: unknown) => unknown = () => {}) {
  await using mutex = new door.Mutex("/fuzz/locked", { client: lab.etcd });
  await then(await (mutex as unknown as Record<string, AnyFunction>)[name]?.(...args));
}

/** Nothing that came up is left behind. */
export async function closed(made: unknown): Promise<void> {
  if (typeof made !== "object" || made === null) return;
  const { close, revoke } = made as Record<string, AnyFunction | undefined>;
  if (close) await close.call(made);
  else if (revoke) await revoke.call(made);
}

/** The names of all methods, without those that only print it. */
export function methodsOf(made: object): string[] {
  const names = new Set<string>();
  for (let at = Object.getPrototypeOf(made); at && !foreign.has(at); at = Object.getPrototypeOf(at)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at))) {
      if (typeof value === "function" && !["constructor", "notify", "toJSON"].includes(name)) names.add(name);
    }
  }
  return [...names];
}

const foreign = new Set<unknown>([Object.prototype, EventEmitter.prototype]);
