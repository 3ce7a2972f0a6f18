import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { allKeys, EtcdClient, keyRange, prefix } from "../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { etcdctlEnv, findEtcdctl } from "../../recipes/candidacy/etcdctl.ts";
import { run } from "../../support/child.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

// Users and roles under TLS and authentication; etcdctl says what stands there.

let cluster: EtcdCluster;
let root: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd({ tls: true, auth: true });
  root = new EtcdClient(cluster.clientOptions);
});
afterAll(async () => {
  await root?.close();
  await cluster?.close();
});

const as = (username: string, password = "hunter2") =>
  new EtcdClient({ ...cluster.clientOptions, auth: { username, password } });

async function etcdctl(user: string, ...args: string[]): Promise<string> {
  const { tls, endpoints } = cluster;
  if (!tls) throw new Error("the cluster is not secure");
  const secure = ["--cacert", tls.caFile, "--cert", tls.certFile, "--key", tls.keyFile];
  const given = ["--endpoints", endpoints.join(","), ...secure, "--user", user, ...args];
  return (await run(await findEtcdctl(), given, { env: etcdctlEnv })).stdout;
}
const asRoot = (...args: string[]) => etcdctl(`root:${cluster.auth?.password}`, ...args);

async function addReader(name: string, keys: string): Promise<void> {
  await root.auth.users.add(name, "hunter2");
  await root.auth.roles.add(name);
  await root.auth.roles.grant(name, { type: "read", range: prefix(keys) });
  await root.auth.users.grantRole(name, name);
}

test("a user does what its roles permit, and etcdctl shows them so", async () => {
  await addReader("ann", "/ann/");
  await root.auth.roles.grant("ann", { type: "write", range: "/one" });
  await root.auth.roles.grant("ann", { type: "readwrite", range: keyRange("/x", "/y") });
  expect(await root.auth.users.get("ann")).toEqual({ name: "ann", roles: ["ann"] });
  const { permissions } = await root.auth.roles.get("ann");
  const shown = permissions.map(({ type, range: { start, end } }) => [type, `${start}`, end && `${end}`]);
  expect(shown).toEqual(
    expect.arrayContaining([
      ["read", "/ann/", "/ann0"],
      ["write", "/one", undefined],
      ["readwrite", "/x", "/y"],
    ]),
  );
  const received = await asRoot("role", "get", "ann");
  for (const text of ["[/ann/, /ann0)", "/one", "[/x, /y)"]) expect(received).toContain(text);
  await etcdctl("ann:hunter2", "get", "/ann/1");
  await expect(etcdctl("ann:hunter2", "put", "/ann/1", "v")).rejects.toThrow("permission denied");
  await root.auth.roles.revoke("ann", keyRange("/x", "/y"));
  await root.auth.roles.revoke("ann", "/one");
  expect((await root.auth.roles.get("ann")).permissions).toHaveLength(1);
  expect(await etcdErrorOf(root.auth.roles.revoke("ann", "/one"))).toMatchObject({ code: "ETCD_REQUEST_REFUSED" });
  expect(await asRoot("role", "get", "ann")).not.toContain("/one");
});

test("a role that is changed while a watch runs takes effect at once, and the watch goes on where it may", async () => {
  await addReader("bob", "/bob/");
  await root.auth.roles.add("extra");
  await using bob = as("bob");
  const mirror = bob.mirror(prefix("/bob/"));
  await mirror.ready;
  await root.auth.roles.grant("extra", { type: "read", range: prefix("/more/") });
  expect(await etcdErrorOf(bob.get("/more/1"))).toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
  await root.auth.users.grantRole("bob", "extra");
  expect(await bob.get("/more/1")).toBeUndefined();
  await root.put("/bob/1", "v");
  await until(() => mirror.get("/bob/1")?.text === "v");
  await root.auth.users.revokeRole("bob", "extra");
  expect(await etcdErrorOf(bob.get("/more/1"))).toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
  // Its password too is changed: what runs goes on, and a new client needs the new one.
  await root.auth.users.changePassword("bob", "hunter3");
  await root.put("/bob/2", "v");
  await until(() => mirror.get("/bob/2")?.text === "v");
  await using late = as("bob");
  expect(await etcdErrorOf(late.get("/bob/1"))).toMatchObject({ code: "ETCD_UNAUTHENTICATED" });
  await using again = as("bob", "hunter3");
  expect((await again.get("/bob/1"))?.text).toBe("v");
});

test("a user without root may ask for itself, and is refused the rest by name", async () => {
  await addReader("eve", "/eve/");
  await using eve = as("eve");
  const { auth, cluster: members, maintenance } = eve;
  expect(await auth.users.get("eve")).toEqual({ name: "eve", roles: ["eve"] });
  expect((await auth.roles.get("eve")).permissions).toHaveLength(1);
  expect((await maintenance.status()).version).toBe(cluster.version);
  const denied: readonly (() => Promise<unknown>)[] = [
    () => auth.enable(),
    () => auth.disable(),
    () => auth.users.add("mallory", "hunter2"),
    () => auth.users.get("root"),
    () => auth.users.list(),
    () => auth.users.delete("ann"),
    () => auth.users.changePassword("root", "hunter2"),
    () => auth.users.grantRole("eve", "root"),
    () => auth.users.revokeRole("root", "root"),
    () => auth.roles.add("mallory"),
    () => auth.roles.get("root"),
    () => auth.roles.list(),
    () => auth.roles.delete("ann"),
    () => auth.roles.grant("eve", { type: "readwrite", range: allKeys() }),
    () => auth.roles.revoke("eve", prefix("/eve/")),
    () => maintenance.defragment(),
    () => maintenance.hashKv(),
    () => maintenance.snapshot(join(tmpdir(), `etcd-recipes-denied-${process.pid}.db`)),
    () => members.addLearner("http://10.0.0.4:2380"),
    () => members.promote("1"),
    () => members.update("1", "http://10.0.0.4:2380"),
    () => members.remove("1"),
  ];
  for (const call of denied) {
    const error = await etcdErrorOf(call());
    expect(error, String(call)).toMatchObject({ code: "ETCD_PERMISSION_DENIED", outcomeUnknown: false });
    expect(error.message).not.toContain("hunter2");
  }
});

test("root does all of it by TLS and with a token", async () => {
  const file = join(tmpdir(), `etcd-recipes-secure-${process.pid}.db`);
  try {
    expect((await root.maintenance.snapshot(file)).bytes).toBeGreaterThan(0);
  } finally {
    await rm(file, { force: true });
  }
  await root.maintenance.defragment();
  expect((await root.maintenance.hashKv()).hash).toBeGreaterThan(0);
  expect(await root.maintenance.alarms()).toEqual([]);
  const [member] = await root.cluster.members();
  expect(member).toMatchObject({ clientUrls: cluster.endpoints, isLearner: false });
  await root.maintenance.moveLeader(member?.id as string);
});

test("a name is never longer than what etcd survives", async () => {
  const longest = "n".repeat(32_768);
  await root.auth.roles.add(longest);
  await root.auth.roles.delete(longest);
  const tooLong = { code: "ETCD_INVALID_OPTION", option: "name" };
  expect(await etcdErrorOf(root.auth.roles.add(`${longest}n`))).toMatchObject(tooLong);
  expect(await etcdErrorOf(root.auth.users.add(`${longest}n`, "hunter2"))).toMatchObject(tooLong);
});

test("half of a surrogate pair is no name and no password: several would come to one", async () => {
  const refused = { code: "ETCD_INVALID_OPTION", message: expect.stringMatching(/well-formed text/) };
  for (const adding of [
    root.auth.roles.add("r\ud83d"),
    root.auth.users.add("u\ud83d", "hunter2"),
    root.auth.users.add("u", "p\ud83d"),
    root.auth.users.changePassword("u", "p\ud83d"),
  ]) {
    expect(await etcdErrorOf(adding)).toMatchObject(refused);
  }
  expect(await root.auth.users.list()).not.toContain("u");
});

test("users and roles are there once, and gone when they are deleted", async () => {
  await root.auth.users.add("zoe", null);
  expect(await etcdErrorOf(root.auth.users.add("zoe", "hunter2"))).toMatchObject({ code: "ETCD_CONFLICT" });
  await root.auth.roles.add("zoo");
  expect(await etcdErrorOf(root.auth.roles.add("zoo"))).toMatchObject({ code: "ETCD_CONFLICT" });
  expect(await root.auth.users.list()).toContain("zoe");
  expect(await root.auth.roles.list()).toContain("zoo");
  // It has no password to log in by.
  await using zoe = as("zoe");
  expect(await etcdErrorOf(zoe.get("k"))).toMatchObject({ code: "ETCD_UNAUTHENTICATED" });
  await root.auth.users.delete("zoe");
  await root.auth.roles.delete("zoo");
  expect(await asRoot("user", "list")).not.toContain("zoe");
  expect(await asRoot("role", "list")).not.toContain("zoo");
  expect(await etcdErrorOf(root.auth.users.get("zoe"))).toMatchObject({ code: "ETCD_REQUEST_REFUSED" });
  expect(await etcdErrorOf(root.auth.roles.delete("zoo"))).toMatchObject({ code: "ETCD_REQUEST_REFUSED" });
});

test("authentication is turned off and on again", async () => {
  await using anonymous = new EtcdClient({ ...cluster.clientOptions, auth: undefined });
  const knows = !cluster.version.startsWith("3.4.");
  const received = async () => (knows ? (await root.auth.status()).enabled : undefined);
  expect(await received()).toBe(knows ? true : undefined);
  // With a client's certificate etcd takes its common name for the user.
  const refused = { code: expect.stringMatching(/^ETCD_(UNAUTHENTICATED|PERMISSION_DENIED)$/) };
  expect(await etcdErrorOf(anonymous.get("k"))).toMatchObject(refused);
  await root.auth.disable();
  await root.auth.disable();
  expect(await anonymous.get("k")).toBeUndefined();
  expect(await received()).toBe(knows ? false : undefined);
  await anonymous.auth.enable();
  await root.auth.enable();
  expect(await etcdErrorOf(anonymous.get("k"))).toMatchObject(refused);
  expect(await root.get("k")).toBeUndefined();
  if (!knows) expect(await etcdErrorOf(root.auth.status())).toMatchObject({ code: "ETCD_REQUEST_REFUSED" });
});

test("a password above 72 bytes is refused where bcrypt takes no longer one", async () => {
  const { error } = await outcomeOf(root.auth.users.add("long", "x".repeat(73)));
  if (error) {
    expect(error).toMatchObject({ code: "ETCD_REQUEST_REFUSED", retryable: false, outcomeUnknown: false });
    expect(await root.auth.users.list()).not.toContain("long");
  } else {
    // An older one looks at the first 72 bytes.
    await using long = as("long", "x".repeat(72));
    expect(await etcdErrorOf(long.get("/ann/"))).toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
  }
});
