import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient } from "../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../testing/index.ts";
import { etcdctlEnv, findEtcdctl } from "../recipes/candidacy/etcdctl.ts";
import { run } from "../support/child.ts";

// The commands of the page, on an etcd that has no user and no role yet.

let cluster: EtcdCluster;
beforeAll(async () => {
  cluster = await startEtcd();
});
afterAll(() => cluster?.close());

const page = readFileSync(new URL("../../docs/guides/security.md", import.meta.url), "utf8");
const [roles = "", users = "", namespaces = "", ...others] = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map(
  ([, commands = ""]) => commands,
);

async function shell(commands: string, env: NodeJS.ProcessEnv = {}): Promise<void> {
  const found = `${dirname(await findEtcdctl())}:${etcdctlEnv.PATH}`;
  const surroundings = { ...etcdctlEnv, PATH: found, ETCDCTL_ENDPOINTS: cluster.endpoints.join(","), ...env };
  await run("sh", ["-euc", commands], { env: surroundings });
}

test("each command of the page on roles and users succeeds, in its order, and then authentication is on", async () => {
  expect(others).toEqual([]);
  await shell(roles);
  await shell(users);
  await shell(namespaces, { ETCDCTL_USER: "root:ROOT-PASSWORD" });
  const { endpoints } = cluster;
  await using root = new EtcdClient({ endpoints, auth: { username: "root", password: "ROOT-PASSWORD" } });
  const granted = [...page.matchAll(/grant-permission (\S+)/g)].map(([, role]) => role);
  expect(new Set(await root.auth.roles.list())).toEqual(new Set([...granted, "root"]));
  for (const role of new Set(granted)) {
    const { permissions } = await root.auth.roles.get(role as string);
    expect(permissions.length).toBe(granted.filter((other) => other === role).length);
  }
  await using orders = new EtcdClient({ endpoints, auth: { username: "orders", password: "PASSWORD" } });
  await orders.put("/svc/a", "10.0.0.1:80");
  expect((await orders.get("/svc/a"))?.text).toBe("10.0.0.1:80");
  await expect(orders.put("/svc/b", "v")).rejects.toMatchObject({ code: "ETCD_PERMISSION_DENIED" });
});
