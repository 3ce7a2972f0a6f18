import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
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
import { EtcdClient, prefix } from "../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { until } from "../../support/until.ts";

// What an operator can correct on the server ends nothing: a user, a role or a password that is away while etcd
// restarts. Everything warns, tries again, and goes on as if nothing had been.

const user = "alice";
const password = "secret";
const long = { timeoutMs: 45_000 };

interface Warns {
  on(event: "warning" | "failed", listener: (error: Error) => void): unknown;
}

/** One recipe in the middle of its work. */
interface Scene {
  readonly name: string;
  readonly warnings: Error[];
  readonly failures: Error[];
  /** That it goes on with its work after the fault. */
  goesOn(): Promise<void>;
}

let cluster: EtcdCluster;
let root: EtcdClient;
const made: AsyncDisposable[] = [];
let count = 0;

beforeAll(async () => {
  cluster = await startEtcd({ auth: true });
  root = new EtcdClient(cluster.clientOptions);
  await addUser();
});
afterEach(async () => {
  for (const each of made.splice(0).reverse()) await each[Symbol.asyncDispose]();
});
afterAll(async () => {
  await root.close();
  await cluster.close();
});

async function addUser(): Promise<void> {
  const { auth } = cluster;
  if (!auth) throw new Error("the cluster has no authentication");
  await auth.addUser(user, password);
  await auth.addRole(user, [{ readwrite: { prefix: "/t" } }]);
  await auth.grantRole(user, user);
}

function use<Made extends AsyncDisposable>(one: Made): Made {
  made.push(one);
  return one;
}

/** Each recipe at work, through one client of the user. */
async function scenes(): Promise<Scene[]> {
  const at = `/t${++count}`;
  const client = use(new EtcdClient({ ...cluster.clientOptions, auth: { username: user, password } }));
  const all: Scene[] = [];
  const scene = (name: string, recipe: Warns, goesOn: () => Promise<void>) => {
    const warnings: Error[] = [];
    const failures: Error[] = [];
    recipe.on("warning", (error) => warnings.push(error));
    recipe.on("failed", (error) => failures.push(error));
    all.push({ name, warnings, failures, goesOn });
  };

  const register = use(new ServiceRegister(`${at}/svc/a`, "10.0.0.1:80", 10, { client, weight: 1 }));
  scene("ServiceRegister", register, async () => {
    await register.update({ weight: 2 });
    expect((await root.get(`${at}/svc/a`))?.text).toContain('weight":2');
    // Its watch may have failed once more just now: the look that follows finds the key in place.
    await until(() => register.status === "registered" && register.lastError === undefined);
  });

  const group = use(new RegistrationGroup(`${at}/group/`, 10, { client }));
  const member = group.register("a", "10.0.0.2:80", { weight: 1 });
  scene("RegistrationGroup", group, async () => {
    await member.update({ weight: 2 });
    expect((await root.get(`${at}/group/a`))?.text).toContain('weight":2');
    expect(member.status).toBe("registered");
  });

  const services = use(new SubscribeService(`${at}/others/`, { client }));
  scene("SubscribeService", services, async () => {
    await root.put(`${at}/others/b`, "10.0.0.3:80");
    await until(() => services.list().some(({ id }) => id === "b"), long);
  });

  const election = use(new LeaderElection(`${at}/leader`, "one", { client, ttlSeconds: 10 }));
  const next = use(new LeaderElection(`${at}/leader`, "two", { client, ttlSeconds: 10 }));
  for (const candidate of [election, next]) {
    const leading = candidate.lead((term) => new Promise((_, reject) => term.signal.addEventListener("abort", reject)));
    leading.catch(() => {});
  }
  let leader: string | undefined;
  election.on("leader", (info) => {
    leader = info?.candidate;
  });
  scene("LeaderElection, the first", election, async () => {
    await until(() => leader !== undefined, long);
  });
  scene("LeaderElection, the next", next, async () => {
    await until(async () => (await next.candidates()).length === 2, long);
    const first = await until(() => [election, next].find(({ term }) => term), long);
    await first.resign();
    await until(() => (first === election ? next : election).term, long);
  });

  const mutex = use(new Mutex(`${at}/lock`, { client, ttlSeconds: 10 }));
  const lock = await mutex.acquire();
  const acquiring = mutex.acquire();
  acquiring.catch(() => {});
  scene("Mutex", mutex, async () => {
    await lock.release();
    await (await acquiring).release();
  });

  const queue = use(new Queue(`${at}/queue`, { client, ttlSeconds: 10 }));
  const waiting = queue.dequeue();
  waiting.catch(() => {});
  scene("Queue", queue, async () => {
    await queue.enqueue("build");
    await (await waiting).ack();
    expect(await queue.size()).toBe(0);
  });

  const storage = use(new Storage({ client }));
  const stored: string[] = [];
  const watching = storage.watch(
    `${at}/store/`,
    (id) => stored.push(id),
    () => {},
  );
  scene("Storage", storage, async () => {
    await root.put(`${at}/store/a`, "v");
    await until(() => stored.includes("a") && watching.status === "live", long);
  });

  const cleaned: string[] = [];
  const expirer = use(
    new CacheExpirer(`${at}/cache/`, { client, ttlSeconds: 600, onExpire: (id) => void cleaned.push(id) }),
  );
  scene("CacheExpirer", expirer, async () => {
    await until(() => expirer.status === "live", long);
    await expirer.track("b");
    await root.delete(`${at}/cache/b`);
    await until(() => cleaned.includes("b"), long);
  });

  const cancellation = use(new Cancellation(`${at}/cancel/`, { client }));
  const run = cancellation.signal("run-1");
  scene("Cancellation", cancellation, async () => {
    await root.put(`${at}/cancel/run-1`, "superseded");
    await until(() => run.aborted, long);
  });

  const confirmation = use(new Confirmation(`${at}/confirm/`, { client }));
  const asked = confirmation.request("run-1", { timeoutSeconds: 600 });
  asked.catch(() => {});
  scene("Confirmation", confirmation, async () => {
    const pending = async () => (await confirmation.pending()).length === 1;
    await until(pending, long);
    await confirmation.approve("run-1", "bob");
    expect(await asked).toMatchObject({ decision: "approved" });
  });

  const monitor = use(new ClusterMonitor<{ zone: string }>(`${at}/nodes/`, { client, ttlSeconds: 10 }));
  const membership = monitor.join("worker-1", { zone: "a" });
  scene("ClusterMonitor", monitor, async () => {
    await membership.update({ zone: "b" });
    await until(() => monitor.nodes()[0]?.info.zone === "b", long);
  });

  await Promise.all(
    [register, group, services, watching, expirer, cancellation, confirmation, monitor, membership].map(
      (each) => each.ready,
    ),
  );
  await until(() => election.term !== undefined || next.term !== undefined);
  // Those that wait are in line.
  await until(async () => (await root.range(prefix(`${at}/lock/`))).kvs.length === 2);
  await until(async () => (await root.range(prefix(`${at}/leader/`))).kvs.length === 2);
  return all;
}

/** Cuts all connections, as a restart of etcd does, and waits until every recipe has reported what it lacks. */
async function untilAllWarned(all: readonly Scene[]): Promise<void> {
  const needs = ["ETCD_PERMISSION_DENIED", "ETCD_UNAUTHENTICATED"];
  const silent = () =>
    all.filter(({ warnings }) => !warnings.some((error) => needs.includes((error as { code?: string }).code ?? "")));
  await until(() => silent().length === 0, {
    ...long,
    message: () =>
      `a warning of ${silent().map(({ name, warnings }) => `${name} (${warnings.map(({ message }) => message).join("; ")})`)}`,
  });
}

async function untilAllGoOn(all: readonly Scene[]): Promise<void> {
  const outcomes = await Promise.allSettled(all.map(({ goesOn }) => goesOn()));
  const broken = all.filter((_, index) => outcomes[index]?.status === "rejected").map(({ name }) => name);
  expect({ broken, outcomes: outcomes.filter(({ status }) => status === "rejected") }).toEqual({
    broken: [],
    outcomes: [],
  });
  for (const { name, failures } of all) expect({ name, failures }).toEqual({ name, failures: [] });
}

test("a role that is taken from the user and given back ends nothing", { timeout: 120_000 }, async () => {
  const all = await scenes();
  await cluster.auth?.revokeRole(user, user);
  await cluster.member(0).restart();
  await untilAllWarned(all);
  await cluster.auth?.grantRole(user, user);
  await untilAllGoOn(all);
});

test("a password that is changed and changed back ends nothing", { timeout: 120_000 }, async () => {
  const all = await scenes();
  await cluster.auth?.changePassword(user, "another");
  await cluster.member(0).restart();
  await untilAllWarned(all);
  await cluster.auth?.changePassword(user, password);
  await untilAllGoOn(all);
});

test("an etcd that is wiped, and whose users and roles are made again after that, ends nothing", {
  timeout: 120_000,
}, async () => {
  const all = await scenes();
  await cluster.wipe();
  await untilAllWarned(all);
  await addUser();
  await untilAllGoOn(all);
});

test("a role that is away when a candidate that was in line is healthy again ends nothing", {
  timeout: 120_000,
}, async () => {
  const at = `/t${++count}`;
  const client = use(new EtcdClient({ ...cluster.clientOptions, auth: { username: user, password } }));
  await root.put(`${at}/leader/1`, "another one");
  let healthy = true;
  const health = () => healthy;
  const election = use(new LeaderElection(`${at}/leader`, "me", { client, health, healthEverySeconds: 0.1 }));
  const warnings: Error[] = [];
  const failures: Error[] = [];
  election.on("warning", (error) => warnings.push(error));
  election.on("failed", (error) => failures.push(error));
  const leading = election.lead(() => "led");
  leading.catch(() => {});
  const inLine = async () => (await root.range(prefix(`${at}/leader/`))).kvs.length;
  await until(async () => (await inLine()) === 2, long);
  healthy = false;
  await until(async () => (await inLine()) === 1, long);
  await root.auth.users.revokeRole(user, user);
  healthy = true;
  await until(() => failures.length + warnings.filter((error) => "code" in error).length > 0, long);
  await root.auth.users.grantRole(user, user);
  await root.delete(`${at}/leader/1`);
  expect(failures).toEqual([]);
  expect(await leading).toBe("led");
});
