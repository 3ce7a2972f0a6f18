import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EtcdClient, prefix } from "../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { requestsServed } from "../../support/gateway/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

// GUARANTEES 3, HARDSHIPS 10: tokens that expire, and all that makes etcd forget them.

let cluster: EtcdCluster;

beforeAll(async () => {
  cluster = await startEtcd({ auth: { tokenTtlSeconds: 5 } });
});
afterAll(() => cluster.close());

function auth(of: EtcdCluster = cluster) {
  if (!of.auth) throw new Error("the cluster has no users");
  return of.auth;
}

/** Longer than a token lives; etcd looks every second. */
async function outlast(seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1_000;
  await until(() => performance.now() > end, { timeoutMs: seconds * 2_000 });
}

test("without a user nothing is served, and it says so at once", async () => {
  await using etcd = new EtcdClient({ endpoints: cluster.endpoints });
  expect(await etcdErrorOf(etcd.get("k"))).toMatchObject({ code: "ETCD_UNAUTHENTICATED", retryable: false });
});

test("a wrong password is refused at once, for calls and for what follows a range", async () => {
  const client = {
    endpoints: cluster.endpoints,
    auth: { username: "root", password: "wrong" },
    requestTimeoutMs: 20_000,
  };
  await using etcd = new EtcdClient(client);
  const { error, tookMs } = await outcomeOf(etcd.put("k", "v"));
  expect(error).toMatchObject({ code: "ETCD_UNAUTHENTICATED", retryable: false, outcomeUnknown: false });
  expect(tookMs).toBeLessThan(10_000);
  expect(await etcdErrorOf(etcd.watch("k").ready)).toMatchObject({ code: "ETCD_UNAUTHENTICATED" });
  expect(await etcdErrorOf(etcd.mirror("k").ready)).toMatchObject({ code: "ETCD_UNAUTHENTICATED" });
  expect(await etcdErrorOf(etcd.grantLease(5))).toMatchObject({ code: "ETCD_UNAUTHENTICATED" });
});

test("the environment's user is used", async () => {
  const { username, password } = auth();
  Object.assign(process.env, { ETCD_USERNAME: username, ETCD_PASSWORD: password });
  try {
    await using etcd = new EtcdClient({ endpoints: cluster.endpoints });
    await etcd.put("env", "v");
    delete process.env.ETCD_PASSWORD;
    expect(() => new EtcdClient()).toThrow(expect.objectContaining({ option: "auth.password" }));
  } finally {
    delete process.env.ETCD_USERNAME;
    delete process.env.ETCD_PASSWORD;
  }
});

test("calls that begin together share one token", async () => {
  await using etcd = new EtcdClient(cluster.clientOptions);
  const served = async () => (await requestsServed(cluster.member(0).endpoint)).Authenticate ?? 0;
  const before = await served();
  await Promise.all(Array.from({ length: 100 }, (_, index) => etcd.put(`many/${index}`, "v")));
  expect((await served()) - before).toBe(1);
});

test("a call that waits for a token ends with its own time and its own signal", async () => {
  await using own = await startEtcd({ auth: true });
  await using etcd = new EtcdClient({ ...own.clientOptions, requestTimeoutMs: 20_000 });
  await own.member(0).pause();
  const abort = new AbortController();
  const aborted = outcomeOf(etcd.get("k", { signal: abort.signal }));
  const late = outcomeOf(etcd.put("k", "v", { timeoutMs: 300 }));
  abort.abort(new Error("enough"));
  expect((await aborted).error).toBe(abort.signal.reason);
  const { error, tookMs } = await late;
  expect(error).toMatchObject({ code: "ETCD_TIMEOUT", outcomeUnknown: false });
  expect(tookMs).toBeLessThan(5_000);
  await own.member(0).resume();
  await etcd.put("k", "v");
});

describe.each([["simple"], ["jwt"]] as const)("%s tokens that live for 5 s", (token) => {
  let own: EtcdCluster;
  beforeAll(async () => {
    own = await startEtcd({ auth: { token, tokenTtlSeconds: 5 } });
  });
  afterAll(() => own.close());

  test("calls, watches and leases outlive them, idle or busy", async () => {
    await using etcd = new EtcdClient(own.clientOptions);
    await using writer = new EtcdClient(own.clientOptions);
    const mirror = etcd.mirror(prefix("live/"));
    const lease = await etcd.grantLease(3);
    await etcd.put("live/leased", "v", { lease });
    await mirror.ready;
    const recorded = record(mirror);
    await outlast(8);
    // The stream is as old as its token: what it follows goes on, and what is new on it is followed, too.
    await writer.put("live/after", "v");
    await until(() => mirror.get("live/after") !== undefined);
    await using watch = etcd.watch(prefix("live/"));
    await watch.ready;
    await writer.put("live/new", "v");
    for await (const { events } of watch) {
      expect(events.map(({ kv }) => kv.key)).toEqual(["live/new"]);
      break;
    }
    await until(() => mirror.get("live/new") !== undefined && mirror.status === "live");
    expect(mirror.get("live/leased")).toBeDefined();
    expect(lease.signal.aborted).toBe(false);
    expect(recorded.items.filter(({ type }) => type === "resynced")).toEqual([]);
  });

  test("a member that restarts forgets them, unnoticed", async () => {
    await using etcd = new EtcdClient(own.clientOptions);
    const mirror = etcd.mirror(prefix("restart/"));
    await mirror.ready;
    const member = own.member(0);
    await member.kill();
    await member.restart();
    await etcd.put("restart/k", "v", { timeoutMs: 20_000 });
    await until(() => mirror.get("restart/k") !== undefined && mirror.status === "live");
  });
});

test("users and roles that are added meanwhile disturb no call and no watch", async () => {
  await using own = await startEtcd({ members: 3, auth: { token: "jwt" } });
  await using etcd = new EtcdClient(own.clientOptions);
  const mirror = etcd.mirror(prefix("busy/"));
  await mirror.ready;
  let running = true;
  let calls = 0;
  const working = (async () => {
    for (; running; calls++) await etcd.put(`busy/${calls % 10}`, String(calls));
  })();
  for (let user = 0; user < 5; user++) {
    const before = calls;
    await auth(own).addUser(`user${user}`, "secret");
    await auth(own).addRole(`role${user}`, [{ read: "x" }]);
    await auth(own).grantRole(`user${user}`, `role${user}`);
    await until(() => calls > before + 5, { timeoutMs: 30_000 });
  }
  running = false;
  await working;
  await until(() => mirror.get(`busy/${(calls - 1) % 10}`)?.text === String(calls - 1));
});

test("a password that was changed ends what needs a new token, loudly; the new one works", async () => {
  await auth().addUser("changing", "first");
  await auth().addRole("changing", [{ readwrite: { prefix: "changing/" } }]);
  await auth().grantRole("changing", "changing");
  const options = { endpoints: cluster.endpoints };
  await using etcd = new EtcdClient({ ...options, auth: { username: "changing", password: "first" } });
  await etcd.put("changing/k", "v");
  await auth().changePassword("changing", "second");
  await until(async () => (await outcomeOf(etcd.put("changing/k", "v"))).error !== undefined);
  expect(await etcdErrorOf(etcd.put("changing/k", "v"))).toMatchObject({ code: "ETCD_UNAUTHENTICATED" });
  await using renewed = new EtcdClient({ ...options, auth: { username: "changing", password: "second" } });
  await renewed.put("changing/k", "v");
});

test("a permission that is taken away stops the mirror that needs it until it is given back, and leaves the others alone", async () => {
  await using own = await startEtcd({ members: 2, auth: true });
  await auth(own).addUser("reader", "secret");
  await auth(own).addRole("kept", [{ read: { prefix: "kept/" } }]);
  await auth(own).addRole("taken", [{ read: { prefix: "taken/" } }]);
  for (const role of ["kept", "taken"]) await auth(own).grantRole("reader", role);
  await using root = new EtcdClient(own.clientOptions);
  await using etcd = new EtcdClient({ endpoints: own.endpoints, auth: { username: "reader", password: "secret" } });
  const kept = etcd.mirror(prefix("kept/"));
  const problems: string[] = [];
  const taken = etcd.mirror(prefix("taken/"), { onStatus: (_, error) => error && problems.push(error.code) });
  await Promise.all([kept.ready, taken.ready]);
  await auth(own).revokeRole("reader", "taken");
  // etcd looks at permissions when a watch is made: a new one is refused at once, the one that runs when it is resumed.
  expect(await etcdErrorOf(etcd.watch(prefix("taken/")).ready)).toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
  expect(kept.status).toBe("live");
  for (const member of own.members) {
    await member.kill();
    await member.restart();
  }
  await until(() => problems.includes("ETCD_PERMISSION_DENIED"), { timeoutMs: 20_000 });
  expect(taken.status).toBe("stale");
  await root.put("kept/k", "v", { timeoutMs: 20_000 });
  await until(() => kept.get("kept/k") !== undefined && kept.status === "live", { timeoutMs: 20_000 });
  await auth(own).grantRole("reader", "taken");
  await until(() => taken.status === "live", { timeoutMs: 40_000 });
});

test("authentication that is enabled and disabled while running is followed", async () => {
  await using own = await startEtcd({ auth: true });
  await auth(own).disable();
  await using etcd = new EtcdClient(own.clientOptions);
  const mirror = etcd.mirror(prefix("switched/"));
  await mirror.ready;
  await etcd.put("switched/off", "v");
  await auth(own).enable();
  await etcd.put("switched/on", "v");
  await auth(own).disable();
  await etcd.put("switched/off-again", "v");
  await until(() => mirror.size === 3);
});

test("a missing permission fails that call alone", async () => {
  await auth().addUser("narrow", "secret");
  await auth().addRole("narrow", [{ readwrite: "narrow/mine" }]);
  await auth().grantRole("narrow", "narrow");
  const user = { username: "narrow", password: "secret" };
  await using etcd = new EtcdClient({ endpoints: cluster.endpoints, auth: user, autoBatch: true });
  const outcomes = await Promise.all([
    outcomeOf(etcd.put("narrow/mine", "v")),
    outcomeOf(etcd.put("narrow/other", "v")),
    outcomeOf(etcd.get("narrow/mine")),
    outcomeOf(etcd.get("narrow/other")),
  ]);
  expect(outcomes.map(({ error }) => (error as { code?: string } | undefined)?.code)).toEqual([
    undefined,
    "ETCD_PERMISSION_DENIED",
    undefined,
    "ETCD_PERMISSION_DENIED",
  ]);
});
