import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import * as door from "../../recipes/index.ts";
import { FaultProxy, startEtcd } from "../../testing/index.ts";
import { methodsOf } from "./public-calls.ts";

// What every method does while etcd is out of reach, before anything is ready, and after `close()`. It waits, or fails
// by name; what it answers at once can be distinguished from an answer of etcd's by the status beside it.

interface Call {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

interface Row<Made> {
  readonly method: string;
  call(made: Made, options: Call): unknown;
  /** `waits`; the code that it fails with; or what it answers. */
  readonly before: unknown;
  readonly after: unknown;
}

interface Table<Made extends Closable> {
  make(client: door.EtcdClient): Made;
  /** What distinguishes unknown from absent. */
  status?(made: Made): unknown;
  readonly rows: readonly Row<Made>[];
  /** Neither asks etcd nor has anything to say. */
  readonly others?: readonly string[];
}

interface Closable {
  close(): Promise<void>;
}

const CLOSED = "ETCD_CLOSED";
const AWAY = expect.stringMatching(/^ETCD_(UNAVAILABLE|TIMEOUT)$/);
const waits = Symbol("waits");

function row<Made>(method: string, call: Row<Made>["call"], before: unknown, ...after: [unknown?]): Row<Made> {
  return { method, call, before, after: after.length === 0 ? CLOSED : after[0] };
}

function table<Made extends Closable>(it: Table<Made>): Table<Closable> {
  return it as unknown as Table<Closable>;
}

const ready = row<{ ready: Promise<unknown> }>("ready", ({ ready: promise }) => promise, waits);
const isStatus = (status: string) => expect.objectContaining({ status });

const listRows: Row<door.ServiceList>[] = [
  { method: "list", call: (it) => it.list(), before: [], after: [] },
  { method: "pick", call: (it) => it.pick(), before: "ETCD_NO_SERVERS", after: CLOSED },
  { method: "call", call: (it, options) => it.call(() => 1, options), before: "ETCD_NO_SERVERS", after: CLOSED },
  { method: "until", call: (it, options) => it.until(() => true, options), before: "ETCD_TIMEOUT", after: CLOSED },
];

const tables: Record<string, Table<Closable>> = {
  EtcdClient: table<door.EtcdClient>({
    make: (client) => client,
    others: ["removeAllListeners"],
    rows: [
      row("get", (it, options) => it.get("k", options), AWAY),
      row("range", (it, options) => it.range(door.prefix("k"), options), AWAY),
      row("iterate", (it, options) => it.iterate(door.prefix("k"), options).next(), AWAY),
      row("compact", (it, options) => it.compact(1, options), AWAY),
      row("put", (it, options) => it.put("k", "v", options), AWAY),
      row("delete", (it, options) => it.delete("k", options), AWAY),
      row("txn", (it, options) => it.txn({ success: [door.putOp("k", "v")] }, options), AWAY),
      row("stm", (it, options) => it.stm((tx) => tx.put("k", "v"), options), AWAY),
      row("grantLease", (it, options) => it.grantLease(60, options), AWAY),
      row("adoptLease", (it, options) => it.adoptLease(door.leaseId("5"), options), AWAY),
      row("keepAliveOnce", (it, options) => it.keepAliveOnce(door.leaseId("5"), options), AWAY),
      row("health", (it, options) => it.health(options).then(({ error }) => Promise.reject(error)), AWAY),
      row("setEndpoints", (it) => it.setEndpoints("http://127.0.0.1:1"), undefined),
      row("syncEndpoints", (it, options) => it.syncEndpoints(options), AWAY),
      row("leases", (it, options) => it.leases(options), AWAY),
      row("leaseTimeToLive", (it, options) => it.leaseTimeToLive(door.leaseId("5"), options), AWAY),
      row("watch", (it) => it.watch("k").ready, waits),
      row("mirror", (it) => it.mirror("k").ready, waits),
      row("typed", (it, options) => it.typed(door.anyJson).get("k", options), AWAY),
      row("namespace", (it, options) => it.namespace("a/").get("k", options), AWAY),
      row("status", (it, options) => it.status(options), AWAY),
    ],
  }),
  Auth: table<Closable & door.Auth>({
    make: (client) => part(client, client.auth),
    rows: [
      row("enable", (it, options) => it.enable(options), AWAY),
      row("disable", (it, options) => it.disable(options), AWAY),
      row("status", (it, options) => it.status(options), AWAY),
    ],
  }),
  Users: table<Closable & door.Users>({
    make: (client) => part(client, client.auth.users),
    rows: [
      row("add", (it, options) => it.add("alice", "password", options), AWAY),
      row("get", (it, options) => it.get("alice", options), AWAY),
      row("list", (it, options) => it.list(options), AWAY),
      row("delete", (it, options) => it.delete("alice", options), AWAY),
      row("changePassword", (it, options) => it.changePassword("alice", "password", options), AWAY),
      row("grantRole", (it, options) => it.grantRole("alice", "reader", options), AWAY),
      row("revokeRole", (it, options) => it.revokeRole("alice", "reader", options), AWAY),
    ],
  }),
  Roles: table<Closable & door.Roles>({
    make: (client) => part(client, client.auth.roles),
    rows: [
      row("add", (it, options) => it.add("reader", options), AWAY),
      row("get", (it, options) => it.get("reader", options), AWAY),
      row("list", (it, options) => it.list(options), AWAY),
      row("delete", (it, options) => it.delete("reader", options), AWAY),
      row("grant", (it, options) => it.grant("reader", { type: "read", range: "k" }, options), AWAY),
      row("revoke", (it, options) => it.revoke("reader", "k", options), AWAY),
    ],
  }),
  Cluster: table<Closable & door.Cluster>({
    make: (client) => part(client, client.cluster),
    rows: [
      row("members", (it, options) => it.members(options), AWAY),
      row("add", (it, options) => it.add("http://10.0.0.4:2380", options), AWAY),
      row("addLearner", (it, options) => it.addLearner("http://10.0.0.4:2380", options), AWAY),
      row("promote", (it, options) => it.promote("1", options), AWAY),
      row("update", (it, options) => it.update("1", "http://10.0.0.4:2380", options), AWAY),
      row("remove", (it, options) => it.remove("1", options), AWAY),
    ],
  }),
  Maintenance: table<Closable & door.Maintenance>({
    make: (client) => part(client, client.maintenance),
    rows: [
      row("status", (it, options) => it.status(options), AWAY),
      row("alarms", (it, options) => it.alarms(options), AWAY),
      row("disarm", (it, options) => it.disarm(options), AWAY),
      row("defragment", (it, options) => it.defragment(options), AWAY),
      row("hashKv", (it, options) => it.hashKv(options), AWAY),
      row("moveLeader", (it, options) => it.moveLeader("1", options), AWAY),
      row("snapshot", (it, options) => it.snapshot(join(tmpdir(), "etcd-recipes-away.db"), options), AWAY),
      row("downgrade", (it, options) => it.downgrade("validate", "3.4", options), AWAY),
    ],
  }),
  Watch: table<door.Watch>({
    make: (client) => client.watch("k"),
    rows: [
      ready as Row<door.Watch>,
      row("next", (it) => it[Symbol.asyncIterator]().next(), waits, { done: true, value: undefined }),
    ],
    others: ["next"],
  }),
  Mirror: table<door.Mirror>({
    make: (client) => client.mirror("k"),
    status: ({ status }) => status,
    rows: [
      ready as Row<door.Mirror>,
      row("get", (it) => it.get("k"), undefined, undefined),
      row("next", (it) => it[Symbol.asyncIterator]().next(), waits, { done: true, value: undefined }),
    ],
  }),
  TypedClient: table<door.TypedClient<unknown, unknown> & Closable>({
    make: (client) => Object.assign(client.typed(door.anyJson), { close: () => client.close() }),
    rows: [
      row("get", (it, options) => it.get("k", options), AWAY),
      row("put", (it, options) => it.put("k", 1, options), AWAY),
      row("range", (it, options) => it.range("k", options), AWAY),
      row("watch", (it) => it.watch("k").ready, waits),
      row("mirror", (it) => it.mirror("k").ready, waits),
    ],
  }),
  TypedMirror: table<door.TypedMirror<unknown>>({
    make: (client) => client.typed(door.anyJson).mirror("k"),
    status: ({ status }) => status,
    rows: [ready as Row<door.TypedMirror<unknown>>, row("get", (it) => it.get("k"), undefined, undefined)],
  }),
  ServiceRegister: table<door.ServiceRegister>({
    make: (client) => new door.ServiceRegister("/r/a", "10.0.0.1:80", 5, { client, metadata: {} }),
    status: ({ status }) => status,
    rows: [
      ready as Row<door.ServiceRegister>,
      row("update", (it, { signal }) => it.update({ weight: 2 }, { signal }), waits),
    ],
  }),
  RegistrationGroup: table<door.RegistrationGroup>({
    make: (client) => new door.RegistrationGroup("/g/", 5, { client }),
    rows: [
      row("register", (it) => it.register("new", "10.0.0.1:80"), isStatus("registering")),
      row("get", (it) => it.get("none"), undefined, undefined),
    ],
  }),
  GroupMember: table<door.GroupMember>({
    make: (client) => new door.RegistrationGroup("/g/", 5, { client }).register("m", "10.0.0.1:80", { weight: 1 }),
    status: ({ status }) => status,
    rows: [
      ready as Row<door.GroupMember>,
      row("update", (it, { signal }) => it.update({ weight: 2 }, { signal }), waits),
    ],
    others: ["startAfter", "closeWith", "end", "fail", "warn"],
  }),
  SubscribeService: table<door.SubscribeService>({
    make: (client) => new door.SubscribeService("/s/", { client }),
    status: ({ status }) => status,
    rows: [ready as Row<door.SubscribeService>, ...listRows, row("view", (it) => it.view({}), isStatus("connecting"))],
    others: ["report", "reported", "take", "finish", "caughtUp"],
  }),
  ServiceView: table<door.ServiceView>({
    make: (client) => new door.SubscribeService("/s/", { client }).view({}),
    status: ({ status }) => status,
    rows: [ready as Row<door.ServiceView>, ...listRows],
    others: ["report", "reported", "take", "finish", "caughtUp", "follow", "statusChanged", "failed"],
  }),
  LeaderElection: table<door.LeaderElection>({
    make: (client) => new door.LeaderElection("/l", "me", { client }),
    rows: [
      row("lead", (it, { signal }) => it.lead(() => 1, { signal }), waits),
      row("leader", (it, options) => it.leader(options), AWAY),
      row("candidates", (it, options) => it.candidates(options), AWAY),
      row("proclaim", (it, options) => it.proclaim("v", options), "ETCD_FENCED_OUT"),
      row("observe", (it, { signal }) => it.observe({ signal }).next(), waits),
      // Without a lead() there is nothing to end.
      row("resign", (it) => it.resign(), undefined, undefined),
    ],
  }),
  Mutex: table<door.Mutex>({
    make: (client) => new door.Mutex("/m", { client }),
    rows: [
      row("acquire", (it, { signal }) => it.acquire({ signal }), waits),
      row("tryAcquire", (it, { signal }) => it.tryAcquire({ signal }), AWAY),
      row("run", (it, { signal }) => it.run(() => 1, { signal }), waits),
    ],
  }),
  Queue: table<door.Queue>({
    make: (client) => new door.Queue("/q", { client }),
    rows: [
      row("enqueue", (it, options) => it.enqueue("v", options), AWAY),
      row("enqueueMany", (it, options) => it.enqueueMany(["v"], options), AWAY),
      row("dequeue", (it, { signal }) => it.dequeue({ signal }), waits),
      row("size", (it, options) => it.size(options), AWAY),
      row("deadLetters", (it, options) => it.deadLetters(options), AWAY),
      row("putBack", (it, options) => it.putBack("id", options), AWAY),
      row("discard", (it, options) => it.discard("id", options), AWAY),
    ],
  }),
  Storage: table<door.Storage>({
    make: (client) => new door.Storage({ client }),
    rows: [
      row("watch", (it) => it.watch("/st/", nothing, nothing), isStatus("connecting")),
      row("put", (it, options) => it.put("/st/k", "v", options), AWAY),
      row("get", (it, options) => it.get("/st/k", options), AWAY),
      row("delete", (it, options) => it.delete("/st/k", options), AWAY),
      row("touch", (it, options) => it.touch("/st/k", options), AWAY),
    ],
  }),
  StorageWatch: table<door.StorageWatch>({
    make: (client) => new door.Storage({ client }).watch("/st/", nothing, nothing),
    status: ({ status }) => status,
    rows: [ready as Row<door.StorageWatch>],
  }),
  CacheExpirer: table<door.CacheExpirer>({
    make: (client) => new door.CacheExpirer("/c/", { client, ttlSeconds: 60, onExpire: nothing }),
    status: ({ status }) => status,
    rows: [
      ready as Row<door.CacheExpirer>,
      row("track", (it, options) => it.track("id", options), AWAY),
      row("touch", (it, options) => it.touch("id", options), AWAY),
      row("evict", (it, options) => it.evict("id", options), AWAY),
    ],
  }),
  Cancellation: table<door.Cancellation>({
    make: (client) => new door.Cancellation("/x/", { client }),
    status: ({ status }) => status,
    rows: [
      ready as Row<door.Cancellation>,
      row("signal", (it) => it.signal("run").aborted, false),
      row("cancel", (it, options) => it.cancel("run", "why", options), AWAY),
      row("release", (it) => it.release("run"), undefined, undefined),
    ],
  }),
  Confirmation: table<door.Confirmation>({
    make: (client) => new door.Confirmation("/y/", { client }),
    status: ({ status }) => status,
    rows: [
      ready as Row<door.Confirmation>,
      row("request", (it, { signal }) => it.request("id", { timeoutSeconds: 60, signal }), waits),
      row("approve", (it, options) => it.approve("id", "me", options), AWAY),
      row("reject", (it, options) => it.reject("id", "me", "no", options), AWAY),
      row("pending", (it, options) => it.pending(options), AWAY),
    ],
  }),
  ClusterMonitor: table<door.ClusterMonitor>({
    make: (client) => new door.ClusterMonitor("/n/", { client }),
    status: ({ status }) => status,
    rows: [
      ready as Row<door.ClusterMonitor>,
      row("nodes", (it) => it.nodes(), [], []),
      row("join", (it) => it.join("w", {}), isStatus("registering")),
    ],
  }),
  Membership: table<door.Membership>({
    make: (client) => new door.ClusterMonitor("/n/", { client }).join("w", {}),
    status: ({ status }) => status,
    rows: [
      ready as Row<door.Membership>,
      row("update", (it) => it.update({ a: 1 }), waits),
      row("leave", (it) => it.leave(), undefined, undefined),
    ],
  }),
};

function nothing(): void {}

/** A part of a client ends with it. */
function part<Part extends object>(client: door.EtcdClient, of: Part): Closable & Part {
  return Object.assign(of, { close: () => client.close() });
}

let link: FaultProxy;
let close: () => Promise<void>;

beforeAll(async () => {
  // What they all say of an etcd that is away.
  vi.spyOn(process, "emitWarning").mockImplementation(nothing);
  const cluster = await startEtcd();
  link = await FaultProxy.start(cluster.member(0).endpoint);
  await link.down();
  close = async () => {
    await link.close();
    await cluster.close();
  };
});
afterAll(async () => {
  vi.restoreAllMocks();
  await close?.();
});

/** What came of a call; `waits` while nothing has when `long` is over. */
async function outcome(call: () => unknown, long: Promise<unknown>): Promise<unknown> {
  const made = (async () => call())().catch((error: { code?: unknown }) => error.code ?? error);
  return Promise.race([made, long.then(() => waits)]);
}

describe.each(Object.entries(tables))("%s", (_name, { make, status, rows, others = [] }) => {
  async function use<Result>(work: (made: Closable, client: door.EtcdClient) => Promise<Result>): Promise<Result> {
    await using client = new door.EtcdClient({ endpoints: link.endpoint, requestTimeoutMs: 1_000 });
    const made = make(client);
    const { on } = made as { on?: (event: string, listener: () => void) => void };
    on?.call(made, "warning", nothing);
    try {
      return await work(made, client);
    } finally {
      await made.close();
    }
  }

  test("has a row for each method", () =>
    use(async (made) => {
      const known = [...rows.map(({ method }) => method), ...others, "close", "ready", "remainingMs"];
      expect(methodsOf(made).filter((method) => !known.includes(method))).toEqual([]);
    }));

  test.concurrent.each(rows)("$method before etcd was reached", ({ call, before }) =>
    use(async (made) => {
      await using other = new door.EtcdClient({ endpoints: link.endpoint });
      const aborting = new AbortController();
      const long = other.get("k", { timeoutMs: 2_000 }).catch(nothing);
      const came = await outcome(() => call(made, { signal: aborting.signal, timeoutMs: 500 }), long);
      aborting.abort();
      expect(came).toEqual(before);
      if (status) expect(["connecting", "registering", "closed"]).toContain(status(made));
    }),
  );

  test.concurrent.each(rows)("$method after close()", ({ call, after }) =>
    use(async (made) => {
      await made.close();
      const { signal } = new AbortController();
      expect(await outcome(() => call(made, { signal, timeoutMs: 500 }), new Promise(nothing))).toEqual(after);
      if (status) expect(status(made)).toBe("closed");
    }),
  );
});
