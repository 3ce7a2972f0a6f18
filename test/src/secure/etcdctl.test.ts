import type { ChildProcess } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Storage, SubscribeService } from "../../../recipes/index.ts";
import { EtcdClient } from "../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { etcdctlEnv, findEtcdctl } from "../../recipes/candidacy/etcdctl.ts";
import { run, startChild } from "../../support/child.ts";
import { documentedRoles } from "../../support/documented-roles.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

// The roles of docs/guides/security.md, as they stand there, seen from outside: what etcdctl may do with them. Each
// role is tried on one of three members, for they have the same roles and users; another program, with TLS, for each
// key and call takes its time.

const roles = documentedRoles();
let cluster: EtcdCluster;
let program: string;
/** What is not the role's is done by this client: it is far quicker than another program. */
let root: EtcdClient;

beforeAll(async () => {
  [cluster, program] = await Promise.all([startEtcd({ members: 3, tls: true, auth: true }), findEtcdctl()]);
  root = new EtcdClient(cluster.clientOptions);
  for (const { role, grants } of roles) {
    await cluster.auth?.addRole(role);
    for (const { args } of grants) await etcdctl(rootAuth(), cluster.endpoints[0] as string, ...args);
    await cluster.auth?.addUser(role, "password");
    await cluster.auth?.grantRole(role, role);
  }
}, 240_000);
afterAll(async () => {
  await root?.close();
  await cluster?.close();
});

function rootAuth(): string {
  const { username, password } = cluster.auth ?? {};
  return `${username}:${password}`;
}

function argsOf(user: string | undefined, endpoint: string): string[] {
  const { caFile = "", certFile = "", keyFile = "" } = cluster.tls ?? {};
  const secure = ["--cacert", caFile, "--cert", certFile, "--key", keyFile];
  return ["--endpoints", endpoint, ...secure, ...(user === undefined ? [] : ["--user", user])];
}

async function etcdctl(user: string | undefined, endpoint: string, ...args: readonly string[]): Promise<string> {
  return (await run(program, [...argsOf(user, endpoint), ...args], { env: etcdctlEnv })).stdout;
}

/** What `etcdctl watch` prints; it ends with its scope. */
function etcdctlWatch(user: string, endpoint: string, ...args: readonly string[]): Watch {
  const given = [...argsOf(user, endpoint), "watch", ...args];
  const child = startChild(program, given, { env: etcdctlEnv });
  return {
    child: child.process,
    get lines() {
      return child.output.split("\n");
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  };
}

interface Watch extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly lines: readonly string[];
}

/** Whether a watch is there cannot be asked, so the key is put until it is seen. */
async function untilSeen(watch: Watch, text: string, put: () => Promise<unknown>): Promise<void> {
  await until(async () => {
    await put();
    return watch.lines.includes(text);
  });
}

describe.each([0, 1, 2])("on member %i", (member) => {
  const at = () => cluster.endpoints[member] as string;

  test.each(roles.filter((_, index) => index % 3 === member))(
    "$role may do in its ranges what it is granted, and nothing else",
    async ({ role, grants }) => {
      const user = `${role}:password`;
      const writable = grants.filter(({ type }) => type !== "read");
      for (const { type, keys, prefix } of grants) {
        const key = prefix ? `${keys}by-${role}-${member}` : keys;
        const covered = (others: typeof grants) =>
          others.some((it) => (it.prefix ? key.startsWith(it.keys) : key === it.keys));
        const readable = type !== "write" || covered(grants.filter((it) => it.type !== "write"));
        const put = () => root.put(key, "by root");
        if (covered(writable)) {
          const lease = await root.grantLease(60, { keepAlive: false });
          expect(await etcdctl(user, at(), "put", key, "v", "--lease", lease.id)).toBe("OK\n");
          expect(await root.get(key)).toMatchObject({ text: "v", lease: lease.id });
          await lease.revoke();
        } else await expect(etcdctl(user, at(), "put", key, "v")).rejects.toThrow("permission denied");
        await put();
        if (readable) {
          expect(await etcdctl(user, at(), "get", key)).toBe(`${key}\nby root\n`);
          await using watch = etcdctlWatch(user, at(), ...(prefix ? ["--prefix", keys] : [key]));
          await untilSeen(watch, key, put);
        } else await expect(etcdctl(user, at(), "get", key)).rejects.toThrow("permission denied");
        if (covered(writable)) expect(await etcdctl(user, at(), "del", key)).toBe("1\n");
        else await expect(etcdctl(user, at(), "del", key)).rejects.toThrow("permission denied");
      }
      // Beside its ranges: the next key, and all of them.
      const [{ keys }] = grants as [(typeof grants)[number]];
      const beside = [`${keys.replace(/\/$/, "")}0`, "/elsewhere"];
      const refused = beside.flatMap((key) => [
        ["get", key],
        ["put", key, "v"],
        ["del", key],
      ]);
      const answers = [...refused, ["get", "--prefix", "/"]].map((args) => etcdctl(user, at(), ...args));
      for (const { reason } of (await Promise.allSettled(answers)) as PromiseRejectedResult[]) {
        expect(String(reason)).toContain("permission denied");
      }
      await using watch = etcdctlWatch(user, at(), "--prefix", "/");
      await until(
        () => watch.child.exitCode !== null || watch.lines.some((line) => line.includes("permission denied")),
      );
      expect(watch.lines.join("\n")).toMatch(/permission denied|canceled/);
    },
  );

  test("a wrong password, no user and no certificate do nothing", async () => {
    await expect(etcdctl("group:wrong", at(), "get", "/svc/a")).rejects.toThrow("authentication failed");
    await expect(etcdctl(undefined, at(), "get", "/svc/a")).rejects.toThrow(/permission denied|user name is empty/);
    const bare = [
      "--endpoints",
      at(),
      "--cacert",
      cluster.tls?.caFile ?? "",
      "--command-timeout=3s",
      "--dial-timeout=3s",
    ];
    const running = run(program, [...bare, "--user", "group:password", "get", "/svc/a"], { env: etcdctlEnv });
    await expect(running).rejects.toThrow();
  });

  test("a list sees what etcdctl registers under the role, and goes without it when its lease does", async () => {
    await using client = clientOf("subscriber");
    await using services = new SubscribeService("/svc/", { client });
    await services.ready;
    const key = `/svc/by-hand-${member}`;
    const granted = await etcdctl("group:password", at(), "lease", "grant", "60");
    const lease = /lease ([0-9a-f]+) granted/.exec(granted)?.[1] ?? "";
    await etcdctl("group:password", at(), "put", key, "10.0.0.9:80", "--lease", lease);
    await until(() => services.list().some((instance) => instance.key === key));
    await etcdctl("group:password", at(), "lease", "revoke", lease);
    await until(() => !services.list().some((instance) => instance.key === key));
  });

  test("a storage's watch and etcdctl's see what the other one writes", async () => {
    await using client = clientOf("store-writer");
    await using storage = new Storage({ client });
    const seen: string[] = [];
    const watching = storage.watch(
      "/store/",
      (id) => seen.push(`put ${id}`),
      (id) => seen.push(`gone ${id}`),
    );
    await watching.ready;
    await etcdctl("store-writer:password", at(), "put", `/store/hand-${member}`, "v");
    await etcdctl("store-writer:password", at(), "del", `/store/hand-${member}`);
    await until(() => seen.includes(`gone hand-${member}`));
    expect(seen).toContain(`put hand-${member}`);
    await using watch = etcdctlWatch("store-reader:password", at(), "--prefix", "/store/");
    const key = `/store/ours-${member}`;
    await untilSeen(watch, key, () => storage.put(key, "v", { ttlSeconds: 60 }));
    await storage.delete(key);
    await until(() => watch.lines.includes("DELETE"));
  });

  test("a namespace needs the roles of its range, and neither sees nor may reach what is beside it", async () => {
    await using client = clientOf("team-a-subscriber", "team-a/");
    await using services = new SubscribeService("/svc/", { client });
    await services.ready;
    const [id, key] = [`by-team-${member}`, `team-a//svc/by-team-${member}`];
    await etcdctl(rootAuth(), at(), "put", `/svc/${id}-outside`, "10.0.0.8:80");
    await etcdctl("team-a:password", at(), "put", key, "10.0.0.9:80");
    await until(() => services.list().some((instance) => instance.key === `/svc/${id}`));
    expect(services.list().filter((instance) => instance.id.endsWith("outside"))).toEqual([]);
    await using writer = clientOf("team-a", "team-a/");
    await using watch = etcdctlWatch("team-a-subscriber:password", at(), "--prefix", "team-a//svc/");
    await untilSeen(watch, `team-a//svc/ours-${member}`, () => writer.put(`/svc/ours-${member}`, "10.0.0.7:80"));
    expect(await etcdErrorOf(client.put(`/svc/${id}`, "v"))).toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
    await using astray = clientOf("team-a", "team-a2/");
    expect(await etcdErrorOf(astray.get("/svc/a"))).toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
    await using outside = clientOf("team-a");
    expect(await etcdErrorOf(outside.get("/svc/a"))).toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
  });

  function clientOf(role: string, namespace = ""): EtcdClient {
    const auth = { username: role, password: "password" };
    return new EtcdClient({ ...cluster.clientOptions, endpoints: [at()], auth, namespace });
  }
});
