import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Mutex, ServiceRegister, SubscribeService } from "../../../recipes/index.ts";
import { EtcdClient, type EtcdClientOptions, prefix } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { requestsServed } from "../../support/gateway/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

// What is promised of TLS and authentication, on three members under mutual TLS, with tokens that live for 5 s.

const restarted = { timeoutMs: 30_000 };

let simple: EtcdCluster;
let jwt: EtcdCluster;

beforeAll(async () => {
  const users = {
    alice: { password: "a", permissions: [{ readwrite: { prefix: "alice/" } }] },
    bob: { password: "b", permissions: [{ readwrite: { prefix: "bob/" } }] },
  };
  const start = (token: "simple" | "jwt") =>
    startEtcd({ members: 3, tls: true, auth: { token, tokenTtlSeconds: 5, users } });
  [simple, jwt] = await Promise.all([start("simple"), start("jwt")]);
});
afterAll(async () => {
  await Promise.all([simple?.close(), jwt?.close()]);
});

function tlsOf(cluster: EtcdCluster) {
  if (!cluster.tls) throw new Error("the cluster has no TLS");
  return cluster.tls;
}

function authOf(cluster: EtcdCluster) {
  if (!cluster.auth) throw new Error("the cluster has no users");
  return cluster.auth;
}

function client(cluster: EtcdCluster, options: EtcdClientOptions = {}): EtcdClient {
  return new EtcdClient({ ...cluster.clientOptions, ...options });
}

/** What the members of a cluster have served of it so far, in their own words. */
async function tokensGiven(cluster: EtcdCluster): Promise<number> {
  const tls = tlsOf(cluster);
  const counts = cluster.endpoints.map(async (endpoint) => (await requestsServed(endpoint, tls)).Authenticate ?? 0);
  return (await Promise.all(counts)).reduce((sum, count) => sum + count);
}

test.each([["simple"], ["jwt"]] as const)("calls that begin together share one token: %s", async (token) => {
  const cluster = { simple, jwt }[token];
  await using etcd = client(cluster);
  const before = await tokensGiven(cluster);
  await Promise.all(Array.from({ length: 100 }, (_, index) => etcd.put(`many/${index}`, "v")));
  expect((await tokensGiven(cluster)) - before).toBe(1);
});

test("the environment names the files and the user", async () => {
  const { caFile, certFile, keyFile } = tlsOf(jwt);
  const names = ["ETCD_ENDPOINTS", "ETCD_CACERT", "ETCD_CERT", "ETCD_KEY", "ETCD_USERNAME", "ETCD_PASSWORD"];
  const values = [jwt.endpoints.join(), caFile, certFile, keyFile, "alice", "a"];
  for (const [at, name] of names.entries()) process.env[name] = values[at];
  try {
    await using etcd = new EtcdClient();
    await etcd.put("alice/env", "v");
    await etcd.watch("alice/env").ready;
    expect(await etcdErrorOf(etcd.put("bob/env", "v"))).toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
  } finally {
    for (const name of names) delete process.env[name];
  }
});

test("calls, watches and leases outlive simple and jwt tokens, idle or busy", async () => {
  const outlive = async (cluster: EtcdCluster) => {
    await using idle = client(cluster);
    await using busy = client(cluster);
    const mirror = idle.mirror(prefix("live/"));
    const watch = idle.watch(prefix("live/"));
    const lease = await idle.grantLease(3);
    await idle.put("live/leased", "v", { lease });
    await Promise.all([mirror.ready, watch.ready]);
    const changes = record(mirror);
    const events = record(watch);
    const end = performance.now() + 8_000;
    await until(async () => (await busy.put("busy", "v")) && performance.now() > end, restarted);
    // The stream is as old as its token. What it follows goes on, and what comes to it now is followed, too.
    const late = idle.watch(prefix("live/"));
    await late.ready;
    await busy.put("live/new", "v");
    expect((await late[Symbol.asyncIterator]().next()).value?.events.map(({ kv }) => kv.key)).toEqual(["live/new"]);
    await until(() => mirror.get("live/new") !== undefined && mirror.status === "live");
    await until(() => events.items.some((batch) => batch.events.some(({ kv }) => kv.key === "live/new")));
    expect(mirror.get("live/leased")).toBeDefined();
    expect(lease.signal.aborted).toBe(false);
    expect(changes.items.filter(({ type }) => type === "resynced")).toEqual([]);
    expect(events.end).toBeUndefined();
  };
  await Promise.all([outlive(simple), outlive(jwt)]);
});

test("users and roles that are added meanwhile disturb no call, no watch and no lease", async () => {
  const add = async (cluster: EtcdCluster) => {
    const auth = authOf(cluster);
    await using etcd = client(cluster, { requestTimeoutMs: 20_000 });
    const mirror = etcd.mirror(prefix("added/"));
    await mirror.ready;
    for (let user = 0; user < 3; user++) {
      const working = Promise.all(Array.from({ length: 20 }, (_, at) => etcd.put(`added/${at}`, String(user))));
      await auth.addUser(`user${user}`, "secret");
      await auth.addRole(`role${user}`, [{ read: "x" }]);
      await auth.grantRole(`user${user}`, `role${user}`);
      await working;
      await (await etcd.grantLease(5)).revoke();
    }
    await until(() => mirror.size === 20 && [...mirror.entries.values()].every((kv) => kv.text === "2"));
  };
  await Promise.all([add(simple), add(jwt)]);
});

test("a password that was changed ends what needs a new token; the new one works", async () => {
  const auth = authOf(simple);
  await auth.addUser("changing", "first");
  await auth.addRole("changing", [{ readwrite: { prefix: "changing/" } }]);
  await auth.grantRole("changing", "changing");
  await using etcd = client(simple, { auth: { username: "changing", password: "first" } });
  await etcd.put("changing/k", "v");
  await auth.changePassword("changing", "second");
  await until(async () => (await outcomeOf(etcd.put("changing/k", "v"))).error !== undefined);
  expect(await etcdErrorOf(etcd.put("changing/k", "v"))).toMatchObject({ code: "ETCD_UNAUTHENTICATED" });
  expect(await etcdErrorOf(etcd.watch("changing/k").ready)).toMatchObject({ code: "ETCD_UNAUTHENTICATED" });
  await using renewed = client(simple, { auth: { username: "changing", password: "second" } });
  await renewed.put("changing/k", "v");
});

test("members that restart one after the other forget tokens, unnoticed", async () => {
  await using etcd = client(simple, { requestTimeoutMs: 20_000 });
  const mirror = etcd.mirror(prefix("restart/"));
  const lease = await etcd.grantLease(30);
  await mirror.ready;
  const underWay: Promise<unknown>[] = [];
  for (const [index, member] of simple.members.entries()) {
    await member.kill();
    // What was on its way to the member may take etcd's own time to fail.
    underWay.push(outcomeOf(etcd.put(`restart/${index}`, "v", { lease })));
    underWay.push(etcd.grantLease(5).then((granted) => granted.revoke()));
    await member.restart();
    await etcd.put(`restart/${index}`, "v", { lease });
    await until(() => mirror.get(`restart/${index}`) !== undefined && mirror.status === "live", restarted);
  }
  await Promise.all(underWay);
  expect(lease.signal.aborted).toBe(false);
});

test("a permission that is taken away is waited for by what needs it when it is resumed, and leaves the others alone", async () => {
  const auth = authOf(jwt);
  await auth.addUser("reader", "secret");
  for (const role of ["kept", "taken"]) {
    await auth.addRole(role, [{ read: { prefix: `${role}/` } }]);
    await auth.grantRole("reader", role);
  }
  await using root = client(jwt, { requestTimeoutMs: 20_000 });
  await using etcd = client(jwt, { auth: { username: "reader", password: "secret" } });
  const kept = etcd.mirror(prefix("kept/"));
  const taken = etcd.mirror(prefix("taken/"));
  const services = new SubscribeService("taken/", { client: etcd });
  const failures: Error[] = [];
  services.on("failed", (error) => failures.push(error));
  const warnings: Error[] = [];
  services.on("warning", (error) => warnings.push(error));
  await Promise.all([kept.ready, taken.ready, services.ready]);
  await auth.revokeRole("reader", "taken");
  expect(await etcdErrorOf(etcd.watch(prefix("taken/")).ready)).toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
  expect([kept.status, taken.status]).toEqual(["live", "live"]);
  for (const member of jwt.members) {
    await member.kill();
    await member.restart();
  }
  const isDenied = (error: Error) => "code" in error && error.code === "ETCD_PERMISSION_DENIED";
  await until(() => warnings.some(isDenied), restarted);
  expect([taken.status, services.status]).toEqual(["stale", "stale"]);
  await root.put("kept/k", "v");
  await until(() => kept.get("kept/k") !== undefined && kept.status === "live", restarted);
  await auth.grantRole("reader", "taken");
  await until(() => taken.status === "live" && services.status === "live", { timeoutMs: 40_000 });
  expect(failures).toEqual([]);
  await services.close();
});

test("each endpoint has an authority of its own: a certificate for one name serves that name alone", async () => {
  const [first, second] = jwt.endpoints as [string, string];
  const byName = second.replace("127.0.0.1", "localhost");
  await tlsOf(jwt).replaceMember(1, { names: ["localhost"] });
  try {
    for (const endpoint of [first, byName]) {
      await using alone = client(jwt, { endpoints: endpoint });
      await alone.put("authority", "v");
      await alone.watch("authority").ready;
    }
    await using misnamed = client(jwt, { endpoints: second });
    expect(await etcdErrorOf(misnamed.get("authority"))).toMatchObject({
      code: "ETCD_UNAVAILABLE",
      message: expect.stringContaining("its certificate is for other names"),
    });
    await using both = client(jwt, { endpoints: [first, byName] });
    for (const endpoint of both.endpoints) expect((await both.status({ endpoint })).version).toBe(jwt.version);
  } finally {
    await tlsOf(jwt).replaceMember(1);
  }
});

test("a certificate that is replaced by another good one is used for the next connection, of calls and of streams", async () => {
  const folder = await mkdtemp(join(tmpdir(), "replaced-"));
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  // To etcd, who brings no token is the common name of its certificate.
  const become = async (commonName: string) => {
    const issued = await tlsOf(simple).issue({ commonName });
    await cp(issued.certFile, certFile);
    await cp(issued.keyFile, keyFile);
  };
  try {
    await become("alice");
    await using proxy = await FaultProxy.start(simple.member(0).endpoint);
    const { caFile } = tlsOf(simple);
    await using etcd = new EtcdClient({ endpoints: proxy.endpoint, tls: { caFile, certFile, keyFile } });
    await etcd.put("alice/k", "v");
    await using watch = etcd.watch("alice/k");
    await watch.ready;
    await become("bob");
    expect(await etcdErrorOf(etcd.get("bob/k"))).toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
    proxy.cut();
    await until(async () => (await outcomeOf(etcd.put("bob/k", "v"))).error === undefined);
    await etcd.watch("bob/k").ready;
    expect(await etcdErrorOf(etcd.watch("alice/k").ready)).toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a client with a user fails at once where it cannot trust the servers, and waits for one that it can trust", async () => {
  const { caFile } = await tlsOf(simple).other();
  const [endpoint] = simple.endpoints as [string];
  await using untrusting = client(simple, {
    tls: { ...simple.clientOptions.tls, caFile },
    requestTimeoutMs: 20_000,
  });
  const { error, tookMs } = await outcomeOf(untrusting.put("k", "v"));
  expect(error).toMatchObject({ code: "ETCD_UNAVAILABLE", message: expect.stringContaining("look at tls.ca") });
  expect(tookMs).toBeLessThan(10_000);

  await using proxy = await FaultProxy.start(endpoint);
  await proxy.down();
  const untrusted = simple.endpoints[1] as string;
  await tlsOf(simple).replaceMember(1, { names: ["elsewhere.test"] });
  try {
    await using waiting = client(simple, { endpoints: [untrusted, proxy.endpoint], requestTimeoutMs: 20_000 });
    const put = outcomeOf(waiting.put("waiting", "v"));
    expect(await etcdErrorOf(waiting.get("k", { timeoutMs: 500 }))).toMatchObject({ code: "ETCD_UNAVAILABLE" });
    await proxy.up();
    expect((await put).error).toBeUndefined();
  } finally {
    await tlsOf(simple).replaceMember(1);
  }
});

test("a recipe ends where waiting cannot help, and only there", async () => {
  const { caFile } = await tlsOf(simple).other();
  const { tls } = simple.clientOptions;
  const expired = await tlsOf(simple).issue({ days: -1 });
  const mismatched = { ...tls, keyFile: expired.keyFile };
  const plain = { endpoints: simple.endpoints.map((endpoint) => endpoint.replace("https:", "http:")), tls: undefined };
  const passing: Record<string, EtcdClientOptions> = {
    "look at tls.ca": { tls: { ...tls, caFile } },
    "refused the client's certificate": { tls: { ...tls, certFile: expired.certFile, keyFile: expired.keyFile } },
    "is not the key of the certificate": { tls: mismatched },
    "it speaks TLS": plain,
  };
  const final: Record<string, EtcdClientOptions> = {
    ETCD_UNAUTHENTICATED: { auth: { username: "alice", password: "wrong" } },
    ETCD_PERMISSION_DENIED: { auth: { username: "alice", password: "a" } },
  };
  const recipes = (options: EtcdClientOptions) => {
    const each = [
      new ServiceRegister("secret/m1", "10.0.0.1:80", 5, { client: { ...simple.clientOptions, ...options } }),
      new SubscribeService("secret/", { client: { ...simple.clientOptions, ...options } }),
    ];
    return each.map((recipe) => {
      const received = { warnings: [] as Error[], failures: [] as Error[] };
      recipe.on("warning", (error: Error) => received.warnings.push(error));
      recipe.on("failed", (error: Error) => received.failures.push(error));
      return { recipe, received };
    });
  };
  for (const [sentence, options] of Object.entries(passing)) {
    for (const { recipe, received } of recipes(options)) {
      await until(() => received.warnings.some(({ message }) => message.includes(sentence)), { message: sentence });
      expect(received.failures).toEqual([]);
      expect(["registering", "connecting"]).toContain(recipe.status);
      await recipe.close();
    }
  }
  for (const [code, options] of Object.entries(final)) {
    await using mutex = new Mutex("secret/lock", { client: { ...simple.clientOptions, ...options } });
    expect(await etcdErrorOf(mutex.acquire())).toMatchObject({ code });
    for (const { recipe, received } of recipes(options)) {
      const error = await etcdErrorOf(recipe.ready);
      expect(error).toMatchObject({ code });
      expect(received.failures).toEqual([error]);
      expect(recipe.status).toBe("failed");
      await recipe.close();
    }
  }
});
