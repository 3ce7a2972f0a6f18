import { afterAll, beforeAll, expect, test } from "vitest";
import * as door from "../../recipes/index.ts";
import { RegistryLab } from "../support/registry-lab.ts";
import { type FuzzedCall, fuzz, isOwnReason, isReadable, isRevokedProxy } from "./hostile-options.ts";
import { unharmed } from "./unharmed.ts";

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

type AnyFunction = (...args: unknown[]) => unknown;

const call = ["signal", "timeoutMs"];
/** By name. */
const exported: Readonly<Record<string, unknown>> = { ...door };

beforeAll(async () => {
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
  await Promise.all(
    [server, services, caches, cancellation, confirmation, monitor, membership].map(({ ready }) => ready),
  );
  for (const made of [group, queue, storage, caches, cancellation, confirmation, monitor]) lab.also(() => made.close());
});
afterAll(async () => {
  await door.defaultClient().close();
  delete process.env.ETCD_ENDPOINTS;
  await lab?.[Symbol.asyncDispose]();
});

/** What a call is given that is right, once the lab is there. */
const calls: (() => FuzzedCall)[] = [
  // The client and its calls.
  () => ({
    what: "EtcdClient",
    args: [{ endpoints: lab.endpoint }],
    names: ["endpoints", "namespace", "dialTimeoutMs", "requestTimeoutMs", "autoBatch", "auth", "tls"],
    call: (options) => new door.EtcdClient(options as never),
  }),
  () => method(lab.etcd, "get", ["/k"], [...call, "revision", "serializable"]),
  () => method(lab.etcd, "range", ["/k"], [...call, "revision", "serializable", "limit", "keysOnly", "countOnly"]),
  () => method(lab.etcd, "put", ["/k", "v"], [...call, "lease", "previous", "batch"]),
  () => method(lab.etcd, "delete", ["/k"], [...call, "previous", "batch"]),
  () => ({ ...method(lab.etcd, "txn", [], ["compare", "success", "failure"]), what: "txn, request" }),
  () => method(lab.etcd, "txn", [{ success: [door.getOp("/k")] }], call),
  () => method(lab.etcd, "grantLease", [60], [...call, "keepAlive", "renewEverySeconds", "id"]),
  () => method(lab.etcd, "leaseTimeToLive", [lease], [...call, "keys"]),
  () => method(lab.etcd, "watch", ["/k"], ["startRevision", "previous", "maxBufferedEvents", "onStatus", "signal"]),
  () => method(lab.etcd, "mirror", ["/k"], ["maxBufferedChanges", "onStatus", "signal"]),
  () => method(lab.etcd, "status", [], [...call, "endpoint"]),
  () => plain("leaseId", ["5"]),
  () => plain("prefix", ["/k"]),
  () => plain("keyRange", ["/a", "/b"]),
  () => ({
    what: "putOp",
    args: ["/k", "v", {}],
    names: ["lease", "previous"],
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
    names: ["revision", "limit", "keysOnly", "countOnly", "serializable", "maxCreateRevision", "sort"],
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
  () => ({
    what: "keyMissing",
    args: ["/k"],
    call: (...args) => lab.etcd.txn({ compare: [(door.keyMissing as AnyFunction)(...args) as never] }),
  }),
  // Registering.
  () => ({
    what: "ServiceRegister",
    args: ["/fuzz/register/m1", "10.0.0.1:80", 5, { client: lab.etcd }],
    names: ["client", "metadata", "weight", "format", "onConflict", "lease", "health", "healthEverySeconds"],
    call: (...args) => create(door.ServiceRegister, args),
  }),
  () => method(server, "update", [{}], ["signal"]),
  () => ({ ...method(server, "update", [], ["address", "metadata", "weight", "draining"]), what: "update, fields" }),
  () => ({
    what: "RegistrationGroup",
    args: ["/fuzz/groups/", 5, { client: lab.etcd }],
    names: ["client", "onConflict"],
    call: (...args) => create(door.RegistrationGroup, args),
  }),
  () => method(group, "register", ["m1", "10.0.0.1:80"], ["metadata", "weight", "format", "onConflict"]),
  () => method(group, "get", ["m1"]),
  // The list, and who is chosen from it.
  () => ({
    what: "SubscribeService",
    args: ["/fuzz/services/", { client: lab.etcd }],
    names: [
      "client",
      "metadata",
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
  () => method(services, "report", [services.list()[0], undefined], ["latencyMs"]),
  ...(["RoundRobin", "WeightedRoundRobin", "P2c", "LeastRequests", "ConsistentHash"] as const).map(
    (name) => (): FuzzedCall => ({
      what: name,
      args: [{}],
      names: ["id", "weight", "random", "nowMs", "loadFactor", "halfLifeMs", "decayMs"],
      call: (...args) => create(exported[name], args),
    }),
  ),
  () => ({
    what: "SlowStart",
    args: [new door.RoundRobin(), { slowStartMs: 5 }],
    names: ["slowStartMs", "candidates", "random", "nowMs"],
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
  ...(["acquire", "tryAcquire"] as const).map(
    (name) => (): FuzzedCall => ({
      what: name,
      args: [{}],
      names: call,
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
      names: ["signal", "delayMs"],
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
  () =>
    method(storage, "watch", ["/fuzz/storage/", () => {}, () => {}], ["initial", "concurrency", "signal", "schema"]),
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
    names: ["client", "ttlSeconds", "info"],
    call: (...args) => create(door.ClusterMonitor, args),
  }),
  () => method(monitor, "join", ["worker-1", {}]),
  () => method(membership, "update", [{}]),
  () => ({
    what: "setDefaultClient",
    args: [lab.etcd],
    call: (...args) => (door.setDefaultClient as AnyFunction)(...args),
  }),
];

test("wrong arguments and options", async () => {
  using _ = unharmed();
  const wrong: string[] = [];
  const isTyped = (error: unknown) =>
    (error instanceof door.EtcdError && isReadable(error)) || isOwnReason(error) || isRevokedProxy(error);
  for (const make of calls) {
    const fuzzed = make();
    const started = performance.now();
    wrong.push(...(await fuzz(fuzzed, isTyped, closed)));
    if (process.env.FUZZ_TIMES) console.log(fuzzed.what, Math.round(performance.now() - started));
  }
  if (process.env.FUZZ_TIMES) console.log(wrong.join("\n"));
  expect(wrong).toEqual([]);
}, 600_000);

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

async function onMutex(name: string, args: unknown[], then: (result: unknown) => unknown = () => {}) {
  await using mutex = new door.Mutex("/fuzz/locked", { client: lab.etcd });
  await then(await (mutex as unknown as Record<string, AnyFunction>)[name]?.(...args));
}

/** Nothing that came up is left behind. */
async function closed(made: unknown): Promise<void> {
  if (typeof made !== "object" || made === null) return;
  const { close, revoke } = made as Record<string, AnyFunction | undefined>;
  if (close) await close.call(made);
  else if (revoke) await revoke.call(made);
}
