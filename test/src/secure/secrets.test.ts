import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
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
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { runProgram } from "../../support/run-program.ts";
import { until } from "../../support/until.ts";

// What must never be seen: the password, the token, the key of the certificate.

const password = "correct-horse-battery-staple";
const wrongPassword = "wrong-horse-battery-staple";

/** A jwt: three parts in base64url, the first of which begins with an opened brace. */
const token = /eyJ[\w-]{10,}\.[\w-]+\./;

let cluster: EtcdCluster;

beforeAll(async () => {
  const users = { alice: { password, permissions: [{ readwrite: { prefix: "" } }] } };
  cluster = await startEtcd({ tls: true, auth: { token: "jwt", users } });
  expect(await cluster.auth?.token({ username: "alice", password })).toMatch(token);
});
afterAll(() => cluster.close());

function options(secret = password) {
  return { ...cluster.clientOptions, auth: { username: "alice", password: secret } };
}

/** Every way in which a value can get into a log. */
function seenOf(value: unknown): string {
  const seen = [String(value), inspect(value), inspect(value, { showHidden: true, depth: 12, getters: true })];
  if (value instanceof Error) seen.push(value.stack ?? "", seenOf(value.cause));
  const known = new Set<unknown>();
  const acyclic = (_: string, part: unknown) => {
    if (typeof part === "bigint") return String(part);
    if (typeof part !== "object" || part === null) return part;
    if (known.has(part)) return "again";
    known.add(part);
    return part;
  };
  seen.push(JSON.stringify(value, acyclic) ?? "");
  return seen.join("\n");
}

function expectNoSecret(text: string): void {
  const keyLines = readFileSync(cluster.tls?.keyFile ?? "", "utf8")
    .split("\n")
    .filter((line) => line.length > 30);
  expect(keyLines.length).toBeGreaterThan(0);
  for (const secret of [password, wrongPassword, ...keyLines]) expect(text).not.toContain(secret);
  expect(text).not.toMatch(token);
}

test("nothing that we make shows a secret: clients, recipes, answers, errors, events", async () => {
  const tls = cluster.tls as NonNullable<EtcdCluster["tls"]>;
  const { cert, key, ca, keyFile } = tls;
  await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
  await using etcd = new EtcdClient({ ...options(), tls: { ca, cert, key }, endpoints: proxy.endpoint });
  const seen: unknown[] = [etcd];
  const watch = etcd.watch(prefix("s/"));
  const mirror = etcd.mirror(prefix("s/"), { onStatus: (...received) => seen.push(received) });
  const lease = await etcd.grantLease(5);
  seen.push(await etcd.put("s/k", "v", { lease }), await etcd.get("s/k"), await etcd.status());
  await mirror.ready;
  await watch.ready;

  const call = { client: options() };
  const recipes = [
    new ServiceRegister("/s/m1", "10.0.0.1:80", 5, call),
    new SubscribeService("/s/", call),
    new RegistrationGroup("/group/", 5, call),
    new LeaderElection("/election", "s1", { ...call, ttlSeconds: 5 }),
    new Mutex("/mutex", { ...call, ttlSeconds: 5 }),
    new Queue("/queue", call),
    new Storage(call),
    new CacheExpirer("/cache/", { ...call, ttlSeconds: 60, onExpire() {} }),
    new Cancellation("/cancel/", call),
    new Confirmation("/confirm/", call),
    new ClusterMonitor("/cluster/", call),
    new ServiceRegister("/s/refused", "10.0.0.1:80", 5, { client: options(wrongPassword) }),
    new SubscribeService("/s/", {
      client: { ...options(), endpoints: ["https://127.0.0.1:1"], requestTimeoutMs: 200 },
    }),
  ];
  for (const recipe of recipes) {
    if (!("on" in recipe)) continue;
    for (const event of ["warning", "failed", "lost", "status"]) {
      (recipe as NodeJS.EventEmitter).on(event, (...received: unknown[]) => seen.push(received));
    }
  }
  seen.push(...recipes);
  const failed = recipes[11] as ServiceRegister;
  seen.push((await outcomeOf(failed.ready)).error);
  expect(seen.at(-1)).toMatchObject({ code: "ETCD_UNAUTHENTICATED" });
  await until(() =>
    seen.some((received) => Array.isArray(received) && (received[0] as Error)?.name === "UnavailableError"),
  );

  await using wrong = new EtcdClient(options(wrongPassword));
  await using untrusting = new EtcdClient({ ...options(), tls: { cert, key } });
  const { certFile } = await tls.issue();
  await using mismatched = new EtcdClient({ ...options(), tls: { ca, certFile, keyFile } });
  for (const client of [wrong, untrusting, mismatched]) {
    const { error } = await outcomeOf(client.put("s/k", "v"));
    expect(error).toBeInstanceOf(Error);
    seen.push(client, error);
  }
  proxy.blackHole();
  seen.push((await outcomeOf(etcd.put("s/k", "v", { timeoutMs: 500 }))).error);
  proxy.cut();
  seen.push((await outcomeOf(etcd.get("s/k", { timeoutMs: 500 }))).error);
  await proxy.heal();
  for (const bad of [
    { auth: { username: "alice", password, user: password } },
    { auth: { username: "alice", password: [password] } },
    { tls: { ca, cert, key: ["x", key] } },
    { tls: { ca, cert: key, key: cert } },
  ]) {
    try {
      seen.push(new EtcdClient({ endpoints: cluster.endpoints, ...(bad as object) }));
    } catch (error) {
      seen.push(error);
    }
  }
  seen.push(watch, mirror, lease);
  for (const each of seen) expectNoSecret(seenOf(each));
  await Promise.all(recipes.map((recipe) => ("close" in recipe ? recipe.close() : undefined)));
});

test.each([
  "http://root:hunter2@host",
  "root:hunter2@host:2379",
  "ftp://root:hunter2@host:2379",
  "http://root:hunter2@host:99999",
  "http://root:hun@hunter2@host:99999",
  "http://root:pass/hunter2@host",
  "http://root:hunter2@host/path",
  "//root:hunter2@host",
  "http://hunter2@",
])("an endpoint that carries a password is refused without showing it: %s", (endpoint) => {
  let refusal: unknown;
  try {
    new EtcdClient({ endpoints: [endpoint] });
  } catch (error) {
    refusal = error;
  }
  expect(refusal).toMatchObject({ code: "ETCD_INVALID_OPTION", option: "endpoints" });
  expect(seenOf(refusal)).not.toContain("hunter2");
});

test("the logs of a process that asks for all of them show none", async () => {
  await using program = runProgram(
    `
    import { EtcdClient, LeaderElection, ServiceRegister, SubscribeService, prefix } from "etcd-recipes";
    const options = JSON.parse(process.env.OPTIONS);
    const wrong = { ...options, auth: { ...options.auth, password: process.env.WRONG } };
    const client = new EtcdClient(options);
    const server = new ServiceRegister("/logged/m1", "10.0.0.1:80", 5, { client });
    const services = new SubscribeService("/logged/", { client });
    const election = new LeaderElection("/logged-election", "s1", { client, ttlSeconds: 5 });
    await Promise.all([server.ready, services.ready]);
    await new EtcdClient(wrong).get("k").catch((error) => console.log(error));
    await new ServiceRegister("/logged/m2", "10.0.0.1:80", 5, { client: wrong }).ready.catch((error) => console.log(error));
    console.log("busy");
    // Meanwhile users are changed, so that its token is refused and renewed.
    while (!(await client.get("/logged-go"))) await new Promise((resolve) => setTimeout(resolve, 20));
    console.log(client, server, services, election);
    await server.close();
    await services.close();
    await client.close();
    console.log("done");
    process.exit(0);`,
    { DEBUG: "*", OPTIONS: JSON.stringify(options()), WRONG: wrongPassword },
  );
  await until(() => program.lines.includes("busy") || program.process.exitCode !== null, { timeoutMs: 20_000 });
  await cluster.auth?.addUser("somebody", "else");
  await using etcd = new EtcdClient(cluster.clientOptions);
  await etcd.put("/logged-go", "");
  expect(await program.ended, program.errors.join("\n")).toBe(0);
  const received = [...program.lines, ...program.errors].join("\n");
  expect(program.lines.at(-1)).toBe("done");
  expect(received).toContain("etcd-recipes:");
  expect(received).toContain("revision of auth store is old");
  expectNoSecret(received);
});
