import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { GatewayAccess } from "../../testing/gateway-access.ts";
import { type ClusterAuth, type EtcdCluster, type EtcdMember, startEtcd } from "../../testing/index.ts";
import { until } from "../support/until.ts";
import { GatewayUser } from "./secure-call.ts";

const alice = { username: "alice", password: "of alice" };
const users = {
  alice: {
    password: alice.password,
    permissions: [{ read: { prefix: "read/" } }, { write: "one" }, { readwrite: { from: "m", to: "n" } }],
  },
} as const;

for (const [token, tls] of [
  ["simple", true],
  ["jwt", false],
] as const) {
  describe(`three members with ${token} tokens, ${tls ? "under mutual TLS" : "without TLS"}`, () => {
    let cluster: EtcdCluster;
    let auth: ClusterAuth;
    let root: GatewayUser;
    let user: GatewayUser;

    beforeAll(async () => {
      cluster = await startEtcd({ members: 3, tls, auth: { token, tokenTtlSeconds: 2, users } });
      auth = cluster.auth as ClusterAuth;
      root = new GatewayUser(cluster, { username: "root", password: auth.password });
      user = new GatewayUser(cluster, alice);
    });
    afterAll(() => cluster.close());

    test("every member refuses a call without a token and serves root's", async () => {
      const anonymous = new GatewayUser(cluster);
      for (const { endpoint, name } of cluster.members) {
        await expect(anonymous.put(endpoint, "x", "1")).rejects.toThrow(/permission denied|user name is empty/);
        await expect(anonymous.get(endpoint, "x")).rejects.toThrow(/permission denied|user name is empty/);
        await root.put(endpoint, "x", name);
        expect(await root.get(endpoint, "x")).toBe(name);
      }
      expect(cluster.clientOptions).toMatchObject({ auth: { username: "root", password: auth.password } });
      expect(cluster.clientOptions.tls !== undefined).toBe(tls);
    });

    test("a user of the setup may do what was permitted, and no more", async () => {
      const { endpoint } = cluster.member(1);
      await root.put(endpoint, "read/1", "served");
      expect(await user.get(endpoint, "read/1")).toBe("served");
      await user.put(endpoint, "one", "1");
      await user.put(endpoint, "mmm", "1");
      expect(await user.get(endpoint, "mmm")).toBe("1");
      for (const key of ["read/1", "one/more", "n"]) {
        await expect(user.put(endpoint, key, "1")).rejects.toThrow("permission denied");
      }
      for (const key of ["one", "read0"]) await expect(user.get(endpoint, key)).rejects.toThrow("permission denied");
    });

    test("users, roles, permissions and passwords change, on every member when it resolves", async () => {
      const bob = { username: "bob", password: "old" };
      await auth.addUser(bob.username, bob.password);
      await auth.addRole("reader", [{ read: { prefix: "" } }]);
      const attempt = (endpoint: string) => new GatewayUser(cluster, bob).get(endpoint, "x");
      const everywhere = async (outcome: "served" | RegExp) => {
        for (const endpoint of cluster.endpoints) {
          if (outcome === "served") expect(await attempt(endpoint)).toBeDefined();
          else await expect(attempt(endpoint)).rejects.toThrow(outcome);
        }
      };
      await everywhere(/permission denied/);
      await auth.grantRole("bob", "reader");
      await everywhere("served");
      await auth.revokePermission("reader", { prefix: "" });
      await everywhere(/permission denied/);
      await auth.grantPermission("reader", { read: "x" });
      await everywhere("served");
      await auth.revokeRole("bob", "reader");
      await everywhere(/permission denied/);
      await auth.changePassword("bob", "new");
      await everywhere(/authentication failed/);
      bob.password = "new";
      await everywhere(/permission denied/);
      await auth.removeRole("reader");
      await auth.removeUser("bob");
      await everywhere(/authentication failed/);
    });

    test("a change that etcd refuses rejects with its reason", async () => {
      await expect(auth.addUser("alice", "again")).rejects.toThrow("user name already exists");
      await expect(auth.grantRole("alice", "nothing")).rejects.toThrow("role name not found");
    });

    test("everything that breaks and restores members works", { timeout: 120_000 }, async () => {
      const member = cluster.member(0);
      await root.put(member.endpoint, "kept", "1");
      await member.pause();
      await cluster.leader();
      await member.resume();
      await member.kill();
      await auth.addUser("meanwhile", "x");
      await member.restart();
      expect(await root.get(member.endpoint, "kept")).toBe("1");
      expect(await auth.token({ username: "meanwhile", password: "x" }, member.endpoint)).toBeDefined();
      expect((await cluster.moveLeader(2)).index).toBe(2);
      await member.replace();
      await expect(new GatewayUser(cluster).get(member.endpoint, "x")).rejects.toThrow();
      await cluster.kill();
      await cluster.restart();
      await cluster.compact(2);
      expect(await root.get(member.endpoint, "kept")).toBe("1");
    });

    test("a token ends after its time", async () => {
      const { endpoint } = cluster.member(0);
      const given = (await auth.token(alice, endpoint)) as string;
      const call = () => new GatewayAccess(cluster.tls).call(`${endpoint}/v3/kv/range`, "POST", { key: "bW1t" }, given);
      await expect(call()).resolves.toBeDefined();
      // Each use prolongs a simple token: it has to be left alone.
      const refused = async () => {
        await sleep(3_500);
        return call().then(
          () => false,
          (error: Error) => error.message.includes("invalid auth token"),
        );
      };
      await until(refused, { timeoutMs: 30_000, message: "the token is refused" });
    });

    test("root's password changes, for the cluster's own calls too", async () => {
      await auth.changePassword("root", "another");
      expect(auth.password).toBe("another");
      expect(cluster.clientOptions.auth).toEqual({ username: "root", password: "another" });
      await cluster.compact(3);
    });

    test("authentication goes off and on", async () => {
      const anonymous = new GatewayUser(cluster);
      await auth.disable();
      for (const endpoint of cluster.endpoints) await anonymous.put(endpoint, "x", "open");
      expect(await auth.token()).toBeUndefined();
      await auth.addUser("while-off", "x");
      await auth.enable();
      for (const endpoint of cluster.endpoints) await expect(anonymous.get(endpoint, "x")).rejects.toThrow();
    });

    test("a change resolves when a slow member has applied it, too", async () => {
      const anonymous = new GatewayUser(cluster);
      // What a member has applied shows in serializable reads alone: all others wait for the rest.
      const isRefusedBy = ({ endpoint }: EtcdMember) =>
        anonymous.get(endpoint, "x", { serializable: true }).then(
          () => false,
          (error: Error) => /permission denied|user name is empty/.test(error.message),
        );
      await auth.disable();
      const leader = await cluster.leader();
      const [slow] = cluster.members.filter((member) => member !== leader) as [EtcdMember];
      let resolved = false;
      // Not by pause(): the cluster must not know.
      process.kill(slow.pid ?? 0, "SIGSTOP");
      try {
        const enabled = auth.enable().then(() => {
          resolved = true;
        });
        await until(() => isRefusedBy(leader), { message: "the leader has applied it" });
        await auth.token(auth, leader.endpoint);
        expect(resolved).toBe(false);
        process.kill(slow.pid ?? 0, "SIGCONT");
        await enabled;
        expect(await isRefusedBy(slow)).toBe(true);
      } finally {
        process.kill(slow.pid ?? 0, "SIGCONT");
      }
    });

    test("a wiped cluster has the users that it began with", async () => {
      await cluster.wipe();
      const { endpoint } = cluster.member(0);
      await expect(new GatewayUser(cluster).get(endpoint, "x")).rejects.toThrow();
      expect(await new GatewayUser(cluster, auth).get(endpoint, "x")).toBeUndefined();
      expect(await new GatewayUser(cluster, alice).get(endpoint, "read/1")).toBeUndefined();
      await expect(auth.token({ username: "while-off", password: "x" })).rejects.toThrow("authentication failed");
    });
  });
}

test("options of auth that cannot be are refused before anything starts", async () => {
  const start = (auth: unknown) => startEtcd({ auth: auth as boolean });
  const wrong = [
    "yes",
    1,
    null,
    { rootPassword: "" },
    { users: 1 },
    { users: [] },
    { users: { a: {} } },
    { users: { a: undefined } },
  ];
  const permissions = [{}, { read: "a", write: "b" }, { read: "" }, { execute: "a" }, { read: { from: "b", to: "a" } }];
  const users = permissions.map((permission) => ({ users: { a: { password: "x", permissions: [permission] } } }));
  for (const auth of [...wrong, ...users]) await expect(start(auth), JSON.stringify(auth)).rejects.toThrow(TypeError);
  for (const auth of [
    { token: "bearer" },
    { tokenTtlSeconds: 0 },
    { tokenTtlSeconds: 1.5 },
    { tokenTTL: 5 },
    { users: { root: { password: "x" } } },
    { users: { a: { password: "x", permission: [{ read: "a" }] } } },
  ]) {
    await expect(start(auth), JSON.stringify(auth)).rejects.toThrow(RangeError);
  }
});
