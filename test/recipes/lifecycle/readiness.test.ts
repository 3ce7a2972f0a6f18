import { afterAll, beforeAll, expect, test } from "vitest";
import {
  ClusterMonitor,
  EtcdClient,
  RegistrationGroup,
  readiness,
  ServiceRegister,
  Storage,
  SubscribeService,
} from "../../../recipes/index.ts";
import { markLeaving } from "../../../recipes/lifecycle/leaving.ts";
import { takePort } from "../../../testing/free-ports.ts";
import { type EtcdCluster, fakeEtcd, startEtcd } from "../../../testing/index.ts";
import { until } from "../../support/until.ts";

let cluster: EtcdCluster;

beforeAll(async () => {
  cluster = await startEtcd();
});
afterAll(() => cluster.close());

test("a process is ready once it is registered and has its list, and stays so while etcd is away", async () => {
  await using client = new EtcdClient(cluster.clientOptions);
  const server = new ServiceRegister("/svc/a", "host:1", 2, { client });
  const services = new SubscribeService("/svc/", { client });
  server.on("warning", () => {});
  services.on("warning", () => {});
  const ready = readiness(server, services, client);
  expect(ready()).toEqual({
    ready: false,
    reasons: ['ServiceRegister "/svc/a": it is not registered yet', 'SubscribeService "/svc/": it has no list yet'],
  });
  await Promise.all([server.ready, services.ready]);
  expect(ready()).toEqual({ ready: true, reasons: [] });
  await cluster.member(0).kill();
  await until(() => server.status === "recovering" && services.status === "stale");
  expect(ready()).toEqual({ ready: true, reasons: [] });
  await cluster.member(0).restart();
  await until(() => server.status === "registered");
  await server.close();
  expect(ready()).toEqual({ ready: false, reasons: ['ServiceRegister "/svc/a": it is closed'] });
  await services.close();
});

test("a service that its health check takes out of the list, and a client that is closed, are not ready", async () => {
  const client = new EtcdClient(cluster.clientOptions);
  const server = new ServiceRegister("/svc/b", "host:1", 5, { client, health: async () => false });
  const ready = readiness(server);
  await until(() => server.status === "passive");
  expect(ready().reasons).toEqual([
    'ServiceRegister "/svc/b": it is not in the list: its health check says no, or its key belongs to another owner',
  ]);
  await server.close();
  const open = readiness(client);
  expect(open().ready).toBe(true);
  await client.close();
  expect(open()).toEqual({ ready: false, reasons: ["EtcdClient: it is closed"] });
});

test("a part is not ready from when its whole is about to be closed", async () => {
  await using etcd = await fakeEtcd();
  const client = etcd.client();
  const group = new RegistrationGroup("/parts/group/", 5, { client });
  const monitor = new ClusterMonitor("/parts/monitor/", { client });
  const services = new SubscribeService("/parts/", { client });
  const storage = new Storage({ client });
  const ready = readiness(
    group.register("a", "host:1"),
    monitor.join("m1", {}),
    services.view({ zone: "a" }),
    storage.watch(
      "/cache/",
      () => {},
      () => {},
    ),
  );
  await until(() => ready().ready);
  const wholes = [group, monitor, services, storage];
  for (const [index, whole] of wholes.entries()) {
    markLeaving(whole);
    const { reasons } = ready();
    expect(reasons.map((reason) => reason.replace(/.*: /, ""))).toEqual(Array(index + 1).fill("it is being closed"));
  }
  await Promise.all(wholes.map((whole) => whole.close()));
});

test("what has failed is not ready", async () => {
  const client = new EtcdClient({ endpoints: `http://127.0.0.1:${await takePort()}`, warnUnreachable: false });
  const services = new SubscribeService("/svc/", { client });
  services.on("warning", () => {});
  services.ready.catch(() => {});
  await client.close();
  await until(() => services.status === "failed");
  expect(readiness(services)()).toEqual({ ready: false, reasons: ['SubscribeService "/svc/": it has failed'] });
  await services.close();
});

test.each([undefined, null, 5, {}, { status: 5 }])("%j is refused by name", (recipe) => {
  expect(() => readiness(recipe as never)).toThrow(
    expect.objectContaining({ code: "ETCD_INVALID_OPTION", option: "recipes" }),
  );
});

test("of a group and a storage, what has parts that can be ready, it is said what to give", async () => {
  await using etcd = await fakeEtcd();
  const client = etcd.client();
  const group = new RegistrationGroup("/svc/", 5, { client });
  const storage = new Storage({ client });
  const problem = "readiness: recipes must have a status, or be clients; one is a";
  expect(() => readiness(group as never)).toThrow(
    `${problem} RegistrationGroup: give what its register() returned, or its members`,
  );
  expect(() => readiness(storage as never)).toThrow(`${problem} Storage: give what its watch() returned`);
  group.register("a", "host:1");
  const ready = readiness(...group.members);
  await group.ready;
  expect(ready()).toEqual({ ready: true, reasons: [] });
  await group.close();
  expect(ready().ready).toBe(false);
  await storage.close();
});
