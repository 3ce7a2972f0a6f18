import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import {
  CacheExpirer,
  Cancellation,
  ClusterMonitor,
  Confirmation,
  LeaderElection,
  Mutex,
  Queue,
  RegistrationGroup,
  ServiceRegister,
  Storage,
  SubscribeService,
} from "../../../recipes/index.ts";
import { EtcdClient, prefix, putOp, txnOp } from "../../../src/index.ts";
import { type AuthPermission, type EtcdCluster, type PermittedKeys, startEtcd } from "../../../testing/index.ts";
import { etcdctlEnv, findEtcdctl } from "../../recipes/candidacy/etcdctl.ts";
import { run } from "../../support/child.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

// Each recipe does its whole job with exactly these permissions, and with any of them taken away it says so.

interface Scene {
  /** What stands before all keys: each test has its own. */
  readonly at: string;
  /** A client of the role. */
  readonly client: EtcdClient;
  /** May do everything: what others do. */
  readonly root: EtcdClient;
  /** What etcdctl shows of a key, as the role's user. */
  readonly see: (key: string) => Promise<string>;
}

interface Role {
  readonly recipe: string;
  readonly permissions: readonly AuthPermission[];
  /** It writes by txns within a txn, whose permissions etcd 3.4.23 and 3.5.16 don't check. */
  readonly writesNested?: true;
  readonly work: (scene: Scene) => Promise<void>;
}

const roles: readonly Role[] = [
  {
    recipe: "EtcdClient, reader of a range and its deletions",
    permissions: [{ read: { prefix: "/kv/" } }],
    work: read,
  },
  { recipe: "EtcdClient, mover of a key", permissions: [{ readwrite: "/kv/a" }], work: move },
  { recipe: "EtcdClient, adopter of a lease", permissions: [{ readwrite: "/kv/a" }], work: adopt },
  { recipe: "EtcdClient, values by a schema", permissions: [{ readwrite: { prefix: "/kv/" } }], work: typed },
  { recipe: "ServiceRegister", permissions: [{ readwrite: "/svc/a" }], work: register },
  { recipe: "ServiceRegister, formats", permissions: [{ readwrite: "/svc/a" }], work: registerFormats },
  { recipe: "ServiceRegister, go-zero", permissions: [{ readwrite: { prefix: "/svc/a/" } }], work: registerGoZero },
  {
    recipe: "RegistrationGroup",
    permissions: [{ readwrite: { prefix: "/svc/" } }],
    writesNested: true,
    work: registerGroup,
  },
  { recipe: "SubscribeService", permissions: [{ read: { prefix: "/svc/" } }], work: subscribe },
  { recipe: "LeaderElection, candidate", permissions: [{ readwrite: { prefix: "/leader/" } }], work: lead },
  { recipe: "LeaderElection, observer", permissions: [{ read: { prefix: "/leader/" } }], work: observe },
  { recipe: "Mutex", permissions: [{ readwrite: { prefix: "/lock/" } }], work: lock },
  {
    recipe: "Queue, producer",
    permissions: [{ readwrite: { prefix: "/queue/jobs/" } }, { read: { prefix: "/queue/dead/" } }],
    writesNested: true,
    work: produce,
  },
  { recipe: "Queue, worker", permissions: [{ readwrite: { prefix: "/queue/" } }], work: consume },
  { recipe: "Storage, writer", permissions: [{ readwrite: { prefix: "/store/" } }], work: store },
  { recipe: "Storage, reader", permissions: [{ read: { prefix: "/store/" } }], work: watchStore },
  { recipe: "CacheExpirer", permissions: [{ readwrite: { prefix: "/cache/" } }], work: expire },
  { recipe: "Cancellation, who cancels", permissions: [{ readwrite: { prefix: "/cancel/" } }], work: cancel },
  { recipe: "Cancellation, who listens", permissions: [{ read: { prefix: "/cancel/" } }], work: listen },
  { recipe: "Confirmation, requester", permissions: [{ readwrite: { prefix: "/confirm/" } }], work: request },
  {
    recipe: "Confirmation, approver of one id",
    permissions: [{ read: { prefix: "/confirm/" } }, { write: { prefix: "/confirm/run-1/" } }],
    work: approve,
  },
  {
    recipe: "ClusterMonitor, member",
    permissions: [{ read: { prefix: "/nodes/" } }, { write: "/nodes/worker-1" }],
    work: join,
  },
  { recipe: "ClusterMonitor, observer", permissions: [{ read: { prefix: "/nodes/" } }], work: monitor },
];

async function read({ at, client, root, see }: Scene): Promise<void> {
  for (const key of ["b", "a"]) await root.put(`${at}/kv/${key}`, "v");
  const sort = { target: "createRevision", order: "descend" } as const;
  const { kvs } = await client.range(prefix(`${at}/kv/`), { sort, limit: 1 });
  expect(kvs.map(({ key }) => key)).toEqual([`${at}/kv/a`]);
  for await (const { key } of client.iterate(prefix(`${at}/kv/`))) expect(await see(key)).toContain("v");
  const deletions = client.watch(prefix(`${at}/kv/`), { filters: ["put"] });
  await deletions.ready;
  await root.put(`${at}/kv/a`, "w");
  await root.delete(`${at}/kv/b`);
  for await (const { events } of deletions) {
    expect(events).toMatchObject([{ type: "delete", kv: { key: `${at}/kv/b` } }]);
    break;
  }
}

async function move({ at, client, see }: Scene): Promise<void> {
  const [first, second] = [await client.grantLease(60), await client.grantLease(60)];
  await client.put(`${at}/kv/a`, "one", { lease: first });
  await client.put(`${at}/kv/a`, "", { ignoreValue: true, lease: second });
  await client.put(`${at}/kv/a`, "two", { ignoreLease: true });
  await first.revoke();
  expect(await see(`${at}/kv/a`)).toContain("two");
  await second.revoke();
  expect(await client.get(`${at}/kv/a`)).toBeUndefined();
}

async function adopt({ at, client, root, see }: Scene): Promise<void> {
  const { id } = await root.grantLease(60, { keepAlive: false });
  expect(await client.keepAliveOnce(id)).toEqual({ ttlSeconds: 60 });
  const lease = await client.adoptLease(id);
  await client.put(`${at}/kv/a`, "v", { lease });
  expect(await see(`${at}/kv/a`)).toContain("v");
  expect((await lease.timeToLive()).keys).toEqual([`${at}/kv/a`]);
  await lease.revoke();
  expect(await client.get(`${at}/kv/a`)).toBeUndefined();
}

async function typed({ at, client, see }: Scene): Promise<void> {
  const values = client.typed(z.object({ replicas: z.number() }));
  await using mirror = values.mirror(prefix(`${at}/kv/`));
  await using watch = values.watch(prefix(`${at}/kv/`));
  await Promise.all([mirror.ready, watch.ready]);
  await values.put(`${at}/kv/a`, { replicas: 2 });
  await client.put(`${at}/kv/b`, "[");
  await until(() => mirror.entries.size === 1 && mirror.invalid.size === 1);
  expect((await values.get(`${at}/kv/a`))?.value).toEqual({ replicas: 2 });
  expect(await see(`${at}/kv/a`)).toContain('{"replicas":2}');
}

async function register({ at, client, see }: Scene): Promise<void> {
  const key = `${at}/svc/a`;
  for (const lease of ["own", "shared"] as const) {
    const options = { client, lease, metadata: { zone: "a" }, health: () => true };
    await using service = new ServiceRegister(key, "10.0.0.1:80", 5, options);
    await service.ready;
    await service.update({ weight: 20 });
    expect(await see(key)).toContain("20");
  }
  expect(await client.get(key)).toBeUndefined();
}

async function registerFormats({ at, client, see }: Scene): Promise<void> {
  for (const format of ["plain", "endpoint", "kratos", "kitex"] as const) {
    const address = format === "kratos" ? "grpc://10.0.0.1:80" : "10.0.0.1:80";
    await using service = new ServiceRegister(`${at}/svc/a`, address, 5, { client, format });
    await service.ready;
    expect(await see(`${at}/svc/a`)).toContain("10.0.0.1:80");
  }
}

async function registerGoZero({ at, client, see }: Scene): Promise<void> {
  await using service = new ServiceRegister(`${at}/svc/a`, "10.0.0.1:80", 5, { client, format: "go-zero" });
  await service.ready;
  expect(await see(service.key)).toContain("10.0.0.1:80");
}

async function registerGroup({ at, client, see }: Scene): Promise<void> {
  await using group = new RegistrationGroup(`${at}/svc/`, 5, { client });
  const member = group.register("a", "10.0.0.1:80", { metadata: { zone: "a" } });
  group.register("b", "10.0.0.2:80");
  await group.ready;
  await member.update({ weight: 20 });
  expect(await see(`${at}/svc/a`)).toContain("20");
  await member.close();
  expect(await client.get(`${at}/svc/a`)).toBeUndefined();
}

async function subscribe({ at, client, root, see }: Scene): Promise<void> {
  await root.put(`${at}/svc/a`, "10.0.0.1:80");
  await using services = new SubscribeService(`${at}/svc/`, { client });
  await services.ready;
  await root.put(`${at}/svc/b`, "10.0.0.2:80");
  await until(() => services.list().length === 2);
  expect(await see(`${at}/svc/b`)).toContain("10.0.0.2:80");
}

async function lead({ at, client, see }: Scene): Promise<void> {
  await using election = new LeaderElection(`${at}/leader`, "one", { client, ttlSeconds: 5 });
  await election.lead(async (term) => {
    expect(await see(term.key)).toContain("one");
    await election.proclaim("two");
    expect(await election.leader()).toMatchObject({ key: term.key });
  });
  expect(await election.candidates()).toEqual([]);
}

async function observe({ at, client, root }: Scene): Promise<void> {
  await using leading = new LeaderElection(`${at}/leader`, "one", { client: root, ttlSeconds: 5 });
  await using election = new LeaderElection(`${at}/leader`, "nobody", { client, ttlSeconds: 5 });
  await leading.lead(async () => {
    expect(await election.leader()).toMatchObject({ candidate: "one" });
    for await (const leader of election.observe()) if (leader?.candidate === "one") break;
  });
}

async function lock({ at, client, see }: Scene): Promise<void> {
  await using mutex = new Mutex(`${at}/lock`, { client, ttlSeconds: 5 });
  const first = await mutex.acquire();
  await see(first.key);
  expect(await mutex.tryAcquire()).toBeUndefined();
  const second = mutex.acquire();
  await first.release();
  await (await second).release();
}

async function produce({ at, client, see }: Scene): Promise<void> {
  await using queue = new Queue(`${at}/queue`, { client });
  const { added } = await queue.enqueue("build", { id: "one" });
  expect(added).toBe(true);
  await queue.enqueueMany(["test", "ship"]);
  expect(await queue.size()).toBe(3);
  expect(await queue.deadLetters()).toEqual([]);
  expect(await see(`${at}/queue/jobs/one`)).toContain("build");
}

async function consume({ at, client, root }: Scene): Promise<void> {
  await using producer = new Queue(`${at}/queue`, { client: root });
  await using queue = new Queue(`${at}/queue`, { client, ttlSeconds: 5, maxAttempts: 1 });
  const waiting = queue.dequeue();
  waiting.catch(() => {});
  const failed = new Promise<never>((_, reject) => queue.on("failed", reject));
  failed.catch(() => {});
  await Promise.race([failed, until(async () => (await root.get(`${at}/queue/`)) === undefined)]);
  await producer.enqueueMany(["build", "test"]);
  await (await waiting).ack();
  await (await queue.dequeue()).release();
  await until(async () => (await queue.deadLetters()).length === 1);
  expect(await queue.size()).toBe(0);
}

async function store({ at, client, see }: Scene): Promise<void> {
  await using storage = new Storage({ client });
  const gone: string[] = [];
  const watch = storage.watch(
    `${at}/store/`,
    () => {},
    (id) => gone.push(id),
  );
  await watch.ready;
  await storage.put(`${at}/store/a`, "v", { ttlSeconds: 60 });
  await storage.touch(`${at}/store/a`, { ttlSeconds: 120 });
  expect(await storage.get(`${at}/store/a`)).toBe("v");
  expect(await see(`${at}/store/a`)).toContain("v");
  await storage.delete(`${at}/store/a`);
  await until(() => gone.includes("a"));
}

async function watchStore({ at, client, root }: Scene): Promise<void> {
  await using storage = new Storage({ client });
  const put: string[] = [];
  const watch = storage.watch(
    `${at}/store/`,
    (id) => put.push(id),
    () => {},
  );
  await watch.ready;
  await root.put(`${at}/store/a`, "v");
  await until(() => put.includes("a"));
}

async function expire({ at, client, see }: Scene): Promise<void> {
  const cleaned: string[] = [];
  const onExpire = (id: string) => cleaned.push(id);
  await using expirer = new CacheExpirer(`${at}/cache/`, { client, ttlSeconds: 3, onExpire });
  await expirer.ready;
  await expirer.track("a");
  await expirer.track("b");
  await see(`${at}/cache/a`);
  await expirer.touch("a");
  await expirer.evict("b");
  await until(() => cleaned.includes("a") && cleaned.includes("b"));
}

async function cancel({ at, client, see }: Scene): Promise<void> {
  await using cancellation = new Cancellation(`${at}/cancel/`, { client });
  await cancellation.ready;
  const signal = cancellation.signal("run-1");
  expect(await cancellation.cancel("run-1", "superseded")).toBe(true);
  expect(signal.aborted).toBe(true);
  expect(await see(`${at}/cancel/run-1`)).toContain("superseded");
}

async function listen({ at, client, root }: Scene): Promise<void> {
  await using cancellation = new Cancellation(`${at}/cancel/`, { client });
  await cancellation.ready;
  const signal = cancellation.signal("run-1");
  await root.put(`${at}/cancel/run-1`, "superseded");
  await until(() => signal.aborted);
}

async function request({ at, client, root }: Scene): Promise<void> {
  await using confirmation = new Confirmation(`${at}/confirm/`, { client });
  await using approver = new Confirmation(`${at}/confirm/`, { client: root });
  await confirmation.ready;
  approver.on("requested", ({ id }) => id === "run-1" && void approver.approve(id, "alice"));
  expect(await confirmation.request("run-1", { timeoutSeconds: 60 })).toMatchObject({ decision: "approved" });
  expect(await confirmation.request("run-2", { timeoutSeconds: 1 })).toMatchObject({ decision: "timeout" });
}

async function approve({ at, client, root, see }: Scene): Promise<void> {
  await using requester = new Confirmation(`${at}/confirm/`, { client: root });
  await using confirmation = new Confirmation(`${at}/confirm/`, { client });
  const asked = requester.request("run-1", { timeoutSeconds: 60 });
  asked.catch(() => {});
  await until(async () => (await requester.pending()).length === 1);
  await confirmation.ready;
  expect(await confirmation.pending()).toHaveLength(1);
  await confirmation.approve("run-1", "alice");
  expect(await asked).toMatchObject({ decision: "approved", by: "alice" });
  expect(await see(`${at}/confirm/run-1/decision`)).toContain("alice");
}

async function join({ at, client, see }: Scene): Promise<void> {
  await using cluster = new ClusterMonitor(`${at}/nodes/`, { client, ttlSeconds: 5 });
  const membership = cluster.join("worker-1", { zone: "a" });
  await Promise.all([cluster.ready, membership.ready]);
  await membership.update({ zone: "b" });
  await until(() => cluster.nodes().length === 1);
  expect(await see(`${at}/nodes/worker-1`)).toContain("zone");
  await membership.leave();
  await until(() => cluster.nodes().length === 0);
}

async function monitor({ at, client, root }: Scene): Promise<void> {
  await using other = new ClusterMonitor(`${at}/nodes/`, { client: root, ttlSeconds: 5 });
  await other.join("worker-1", {}).ready;
  await using cluster = new ClusterMonitor(`${at}/nodes/`, { client });
  await cluster.ready;
  expect(cluster.nodes()).toMatchObject([{ name: "worker-1" }]);
}

let cluster: EtcdCluster;
let made = 0;
/** Whether this etcd checks what a txn within a txn does. */
let checksNested: boolean;

beforeAll(async () => {
  cluster = await startEtcd({ tls: true, auth: true });
  const { at, client } = await user([]);
  await using withoutRoles = client;
  const { error } = await outcomeOf(withoutRoles.txn({ success: [txnOp({ success: [putOp(`${at}/k`, "v")] })] }));
  if (error !== undefined) expect(error).toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
  checksNested = error !== undefined;
});
afterAll(() => cluster.close());

function under(at: string, keys: PermittedKeys): PermittedKeys {
  if (typeof keys === "string") return at + keys;
  return "prefix" in keys ? { prefix: at + keys.prefix } : { from: at + keys.from, to: at + keys.to };
}

function moved(at: string, permission: AuthPermission): AuthPermission {
  if ("read" in permission) return { read: under(at, permission.read) };
  if ("write" in permission) return { write: under(at, permission.write) };
  return { readwrite: under(at, permission.readwrite) };
}

/** Each with one permission, or one half of it, taken away. */
function lesser(permissions: readonly AuthPermission[]): { without: string; left: AuthPermission[] }[] {
  return permissions.flatMap((permission, index) => {
    const others = permissions.toSpliced(index, 1);
    const [type, keys] = Object.entries(permission)[0] as [string, PermittedKeys];
    const name = typeof keys === "string" ? keys : JSON.stringify(keys);
    if (type !== "readwrite") return [{ without: `${type} ${name}`, left: others }];
    return [
      { without: `write ${name}`, left: [...others, { read: keys }] },
      { without: `read ${name}`, left: [...others, { write: keys }] },
    ];
  });
}

/** A user with a role that has these permissions, below a root of its own. */
async function user(permissions: readonly AuthPermission[]) {
  const { auth, tls } = cluster;
  if (!auth || !tls) throw new Error("the cluster is not secure");
  const name = `alice${++made}`;
  const at = `/t${made}`;
  await auth.addUser(name, "password");
  await auth.addRole(
    name,
    permissions.map((permission) => moved(at, permission)),
  );
  await auth.grantRole(name, name);
  const client = new EtcdClient({ ...cluster.clientOptions, auth: { username: name, password: "password" } });
  const secure = ["--cacert", tls.caFile, "--cert", tls.certFile, "--key", tls.keyFile];
  const given = ["--endpoints", cluster.endpoints.join(","), ...secure, "--user", `${name}:password`];
  const etcdctl = async (...args: string[]) => {
    return (await run(await findEtcdctl(), [...given, ...args], { env: etcdctlEnv })).stdout;
  };
  return { at, client, etcdctl };
}

describe.each(roles)("$recipe", ({ permissions, writesNested, work }) => {
  test("does its whole job with these permissions, and etcdctl sees what it wrote", async () => {
    const { at, client, etcdctl } = await user(permissions);
    await using own = client;
    await using root = new EtcdClient(cluster.clientOptions);
    const see = async (key: string) => {
      const shown = await etcdctl("get", key);
      expect(shown).toContain(key);
      return shown;
    };
    await work({ at, client: own, root, see });
    // The same below a namespace on the same connections.
    const within = { client: own.namespace(at), root: root.namespace(at), see: (key: string) => see(at + key) };
    await root.delete(prefix(`${at}/`));
    await work({ at: "", ...within });
    await expect(etcdctl("get", `${at}/elsewhere`)).rejects.toThrow("permission denied");
    await expect(etcdctl("put", `${at}/elsewhere`, "v")).rejects.toThrow("permission denied");
  });

  test.for(lesser(permissions))(
    "says so without $without",
    { timeout: 15_000 },
    async ({ without, left }, { skip }) => {
      if (writesNested && without.startsWith("write ")) skip(!checksNested, "etcd checks nothing within nested txns");
      const { at, client } = await user(left);
      await using own = client;
      await using root = new EtcdClient(cluster.clientOptions);
      // What the role may not see is asked of root.
      const see = async (key: string) => (await root.get(key))?.text ?? "";
      const error = await etcdErrorOf(work({ at, client: own, root, see }));
      expect(error).toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
    },
  );
});
