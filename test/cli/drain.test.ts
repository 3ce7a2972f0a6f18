import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type DrainRequest,
  EtcdClient,
  type LeaseId,
  RegistrationGroup,
  ServiceRegister,
  type ServiceRegisterOptions,
  SubscribeService,
} from "../../recipes/index.ts";
import { type EtcdCluster, startEtcd } from "../../testing/index.ts";
import { Cli } from "../support/cli.ts";
import { until } from "../support/until.ts";

let cluster: EtcdCluster;
let etcd: EtcdClient;
let cli: Cli;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient(cluster.clientOptions);
  cli = new Cli(cluster.endpoints.join(","));
});
afterAll(async () => {
  await etcd.close();
  await cluster.close();
});

async function registered(key: string, options: ServiceRegisterOptions = {}): Promise<ServiceRegister> {
  const server = new ServiceRegister(key, "10.0.0.1:80", 30, { client: etcd, metadata: { zone: "a" }, ...options });
  await server.ready;
  return server;
}

/** What stands in etcd, as JSON. */
const storedAt = async (key: string) => JSON.parse((await etcd.get(key))?.text ?? "null");
const marked = { Op: 0, Addr: "10.0.0.1:80", Metadata: { zone: "a", "etcd-recipes/draining": true } };
const unmarked = { Op: 0, Addr: "10.0.0.1:80", Metadata: { zone: "a" } };

test("drain takes a server out of service from outside, --undo brings it back; its owner hears of both", async () => {
  await using server = await registered("/d/m1");
  await using services = new SubscribeService("/d/", { client: etcd });
  await services.ready;
  const requests: DrainRequest[] = [];
  server.on("drain", (request) => requests.push(request));
  expect(await cli.run("drain", "/d/m1", "--by", "ann")).toMatchObject({ code: 0, out: "/d/m1 is draining" });
  // Its own value again, without what was asked.
  expect(await storedAt("/d/m1")).toEqual(marked);
  expect(server).toMatchObject({ draining: true, status: "registered" });
  await until(() => services.list()[0]?.draining);
  expect(() => services.pick()).toThrow(/drain/);
  expect((await cli.run("drain", "/d/m1")).out).toBe("/d/m1 is draining already");
  // What else it says goes on.
  await server.update({ weight: 4 });
  expect((await storedAt("/d/m1")).Metadata).toEqual({ ...marked.Metadata, "etcd-recipes/weight": 4 });
  await server.update({ weight: 1 });
  expect(await cli.json("drain", "/d/m1", "--undo", "--by", "ben")).toMatchObject([{ draining: false, changed: true }]);
  expect(await storedAt("/d/m1")).toEqual(unmarked);
  expect(server.draining).toBe(false);
  expect(requests).toEqual([
    { draining: true, by: "ann" },
    { draining: false, by: "ben" },
  ]);
  await cli.run("drain", "/d/m1");
  await server.update({ draining: false });
  expect(await storedAt("/d/m1")).toEqual(unmarked);
});

test("an instance of a group drains by itself, and the group says so", async () => {
  await using group = new RegistrationGroup("/g/", 30, { client: etcd });
  const heard: string[] = [];
  group.on("drain", (member, { draining, by }) => heard.push(`${member.id} ${draining} ${by}`));
  const members = ["m1", "m2"].map((id) => group.register(id, "10.0.0.1:80", { metadata: { zone: "a" } }));
  await Promise.all(members.map(({ ready }) => ready));
  expect((await cli.run("drain", "/g/m2", "--by", "ann")).code).toBe(0);
  expect(members.map(({ draining }) => draining)).toEqual([false, true]);
  expect(heard).toEqual(["m2 true ann"]);
  expect([await storedAt("/g/m1"), await storedAt("/g/m2")]).toEqual([unmarked, marked]);
});

test("an owner that updates its weight all the time loses neither its weight nor the request", async () => {
  await using server = await registered("/busy/m1");
  let weight = 1;
  let over = false;
  const updating = (async () => {
    while (!over) await server.update({ weight: ++weight });
  })();
  expect((await cli.run("drain", "/busy/m1")).code).toBe(0);
  const atRequest = weight;
  await until(() => weight > atRequest + 3);
  over = true;
  await updating;
  expect((await storedAt("/busy/m1")).Metadata).toEqual({ ...marked.Metadata, "etcd-recipes/weight": weight });
});

test("it outlives the lease, and ends with its owner: who comes next serves", async () => {
  const first = await registered("/lost/m1");
  await cli.run("drain", "/lost/m1");
  const lease = (await etcd.get("/lost/m1"))?.lease as LeaseId;
  const lost = new Promise((resolve) => first.once("lost", resolve));
  await using other = new EtcdClient(cluster.clientOptions);
  await (await other.adoptLease(lease)).revoke();
  await lost;
  await until(() => first.status === "registered");
  expect(await storedAt("/lost/m1")).toEqual(marked);
  await using second = await registered("/lost/m1");
  expect(second.draining).toBe(false);
  expect(await storedAt("/lost/m1")).toEqual(unmarked);
  await first.close();
});

test("an owner that knows no requests puts its value back, and one that is away answers nothing: both are said", async () => {
  const text = JSON.stringify(unmarked);
  await etcd.put("/old/m1", text);
  const late = await cli.run("drain", "/old/m1", "--wait", "200ms");
  expect(late).toMatchObject({ code: 1, err: expect.stringContaining("has not answered within 0.2 s") });
  // Readers have seen it all the same.
  expect((await storedAt("/old/m1")).Metadata).toEqual(marked.Metadata);
  const watch = etcd.watch("/old/m1");
  await watch.ready;
  const running = cli.run("drain", "/old/m1");
  for await (const { events } of watch) {
    if (events.some(({ type }) => type === "put")) break;
  }
  await etcd.put("/old/m1", text);
  expect(await running).toMatchObject({ code: 1, err: expect.stringContaining("its owner put its own value back") });
});

test("what cannot drain is refused with a reason, and left as it is", async () => {
  await using plain = await registered("/plain/m1", { metadata: undefined });
  await etcd.put("/plain/kratos", JSON.stringify({ id: "a", name: "b", endpoints: ["grpc://10.0.0.1:9000"] }));
  await etcd.put("/plain/text", JSON.stringify({ Op: 0, Addr: "a:1", Metadata: "text" }));
  await etcd.put("/plain/broken", '{"Op":0,"Addr":');
  await etcd.put("/plain/list", '["10.0.0.1:80"]');
  await etcd.put("/plain/empty", "");
  // They look like an address, and readers take none of them for one.
  const json = ["8080", "null", "true", "-1.5e3"];
  for (const text of json) await etcd.put(`/plain/${text}`, text);
  const refused: [string, string][] = [
    [plain.key, "has a plain value, which carries no draining"],
    ["/plain/kratos", "is no registration that can say that it drains"],
    ["/plain/text", "has metadata that is no object"],
    ["/plain/broken", "has a value that begins as JSON and is none"],
    ["/plain/list", "is no registration"],
    ["/plain/empty", "is no registration"],
    ...json.map((text): [string, string] => [`/plain/${text}`, "is no registration"]),
    ["/plain/none", "there is no registration /plain/none"],
  ];
  const { revision } = await etcd.range("/plain/");
  for (const [key, problem] of refused)
    expect(await cli.run("drain", key)).toMatchObject({ code: 1, err: expect.stringContaining(problem) });
  expect((await cli.run("drain", "/plain/broken")).err).not.toContain("plain value");
  expect((await etcd.range("/plain/")).revision).toBe(revision);
});
