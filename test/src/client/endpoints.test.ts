import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { EtcdClient, type EtcdClientOptions, prefix } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";
import { refusals, type ScriptedCall, ScriptedEtcd } from "../secure/scripted-etcd.ts";

// Endpoints that change while a client works, and what it says of its connections.

let cluster: EtcdCluster;
const made: EtcdClient[] = [];

beforeAll(async () => {
  cluster = await startEtcd({ members: 3 });
});
afterEach(async () => {
  for (const client of made.splice(0)) await client.close();
});
afterAll(() => cluster.close());

const at = (index: number) => cluster.member(index).endpoint;

function clientOf(endpoints: readonly string[], options: EtcdClientOptions = {}): EtcdClient {
  const client = new EtcdClient({ endpoints, ...options });
  made.push(client);
  return client;
}

test("with other endpoints calls, watches and leases go on there, and miss nothing", async () => {
  // A put that a follower passes on to a leader that dies may end with an unknown outcome.
  await cluster.moveLeader(1);
  const etcd = clientOf([at(0)]);
  const inside = etcd.namespace("team/");
  const lease = await etcd.grantLease(5);
  await etcd.put("moved/1", "a", { lease });
  await using watch = etcd.watch(prefix("moved/"));
  const seen = record(watch);
  await watch.ready;
  etcd.setEndpoints([at(1), at(2)]);
  expect(inside.endpoints).toEqual([at(1), at(2)]);
  await cluster.member(0).kill();
  try {
    await etcd.put("moved/2", "b", { lease });
    await inside.put("k", "v");
    await until(() => seen.items.some(({ events }) => events.some(({ kv }) => kv.key === "moved/2")));
    const granted = lease.remainingMs();
    await until(() => lease.remainingMs() > granted);
    expect(lease.signal.aborted).toBe(false);
  } finally {
    await cluster.member(0).restart();
  }
});

/** Whether the client has no connection there (any more). */
const isOver = (events: readonly string[], url: string) =>
  events.filter((event) => event === `connected ${url}`).length ===
  events.filter((event) => event === `disconnected ${url}`).length;

test("what goes is left at once, also by streams, and calls under way may finish", async () => {
  const etcd = clientOf([at(0), at(1)]);
  const events: string[] = [];
  etcd.on("connected", (endpoint) => events.push(`connected ${endpoint}`));
  etcd.on("disconnected", (endpoint) => events.push(`disconnected ${endpoint}`));
  // What has streams does not let go of them by itself.
  const lease = await etcd.grantLease(60);
  await using mirror = etcd.mirror("stays");
  await mirror.ready;
  await until(() => events.length > 0);
  const [used] = events.map((event) => event.split(" ")[1] as string);
  etcd.setEndpoints([used as string, at(2)]);
  await etcd.put("stays", "2");
  const underWay = etcd.put("stays", "3");
  etcd.setEndpoints([at(2)]);
  await underWay;
  await etcd.put("stays", "4");
  await until(() => [at(0), at(1)].every((url) => isOver(events, url)));
  await until(() => mirror.get("stays")?.text === "4");
  expect(isOver(events, at(2))).toBe(false);
  expect(lease.signal.aborted).toBe(false);
});

test("what goes is left at once, also by streams on a connection that nothing new begins on", async () => {
  await using link = await FaultProxy.start(at(0));
  const etcd = clientOf([link.endpoint]);
  const { id } = await etcd.grantLease(60, { keepAlive: false });
  await using mirror = etcd.mirror("stays");
  await mirror.ready;
  await etcd.keepAliveOnce(id);
  const { accepted } = link;
  link.blackHole();
  // Its first attempt has no answer: streams begin on another connection. Those that are there can go on.
  const renewal = etcd.keepAliveOnce(id);
  await until(() => link.accepted > accepted);
  await link.heal();
  await renewal;
  etcd.setEndpoints([at(1)]);
  await until(() => link.connections === 0);
  const { revision } = await etcd.put("stays", "again");
  await until(() => (mirror.get("stays")?.modRevision ?? 0) >= revision);
});

test("the endpoints can be made those of the members, once or for good", async () => {
  const etcd = clientOf([at(1)]);
  expect([...(await etcd.syncEndpoints())].sort()).toEqual([...cluster.endpoints].sort());
  const follower = clientOf([at(2)], { followMembers: true });
  expect(follower.endpoints).toEqual([at(2)]);
  await follower.get("k");
  await until(() => follower.endpoints.length === 3);
  // Known by a name that no member calls itself.
  const other = clientOf([at(0).replace("127.0.0.1", "localhost")]);
  await other.syncEndpoints();
  expect([...other.endpoints].sort()).toEqual([...cluster.endpoints].sort());
});

test.each(["syncEndpoints", "followMembers"] as const)(
  "what the user sets holds against an answer to %s that comes later",
  async (by) => {
    await using proxy = await FaultProxy.start(at(0));
    const etcd = clientOf([proxy.endpoint], { followMembers: by === "followMembers" });
    const sent: string[] = [];
    const onCall = (message: unknown) => sent.push((message as { method: string }).method);
    subscribe("tracing:etcd-recipes:call:start", onCall);
    if (by === "syncEndpoints") await etcd.get("k");
    proxy.delay(200);
    const asking = by === "syncEndpoints" ? etcd.syncEndpoints() : etcd.get("k");
    await until(() => sent.includes("MemberList"));
    unsubscribe("tracing:etcd-recipes:call:start", onCall);
    etcd.setEndpoints(at(1));
    await asking;
    await until(() => proxy.connections === 0);
    expect(etcd.endpoints).toEqual([at(1)]);
  },
);

test.each([
  [[], "setEndpoints: endpoints must name at least one endpoint"],
  [5, "setEndpoints: endpoints must be a URL such as http://127.0.0.1:2379, or a list of such, not 5"],
  [["http://a", null], "setEndpoints: endpoints.1 must be a URL such as http://127.0.0.1:2379, not null"],
  [["https://a"], "setEndpoints: endpoints must be http, as those that the client was made with"],
])("as endpoints %j is refused, and nothing changes", (endpoints, message) => {
  const etcd = clientOf([at(0)]);
  expect(() => etcd.setEndpoints(endpoints as string[])).toThrow(
    expect.objectContaining({ code: "ETCD_INVALID_OPTION", message }),
  );
  expect(etcd.endpoints).toEqual([at(0)]);
});

test("health says whether a majority serves the client, by any endpoint or by one", async () => {
  await cluster.moveLeader(2);
  const etcd = clientOf(cluster.endpoints, { requestTimeoutMs: 2_000 });
  expect(await etcd.health()).toEqual({
    healthy: true,
    endpoint: expect.stringMatching(/^http:/),
    latencyMs: expect.any(Number),
  });
  await cluster.member(0).kill();
  try {
    expect(await etcd.health()).toMatchObject({ healthy: true });
    const dead = await etcd.health({ endpoint: at(0), timeoutMs: 300 });
    expect(dead).toMatchObject({ healthy: false, endpoint: at(0), error: { code: expect.stringMatching(/^ETCD_/) } });
    await cluster.member(1).kill();
    expect(await etcd.health({ endpoint: at(2), timeoutMs: 1_000 })).toMatchObject({ healthy: false, endpoint: at(2) });
  } finally {
    await Promise.all([cluster.member(0).restart(), cluster.member(1).restart()]);
  }
  await expect(etcd.health({ endpoint: "http://other" })).rejects.toMatchObject({ code: "ETCD_INVALID_OPTION" });
  await expect(etcd.health({ signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
});

test("connections that come and go are events, of namespaces too, and a listener cannot hurt them", async () => {
  const etcd = clientOf([at(0)]);
  const inside = etcd.namespace("team/");
  const warned = once(process, "warning");
  etcd.once("connected", () => {
    throw new Error("thrown by a listener");
  });
  const connected = once(inside, "connected");
  await etcd.put("k", "v");
  expect(await connected).toEqual([at(0)]);
  expect((await warned)[0]).toMatchObject({
    name: "ListenerFailedError",
    message: 'a listener of "connected" of a client failed: thrown by a listener',
  });
  const disconnected = once(inside, "disconnected");
  await cluster.member(0).kill();
  try {
    expect(await disconnected).toEqual([at(0), expect.any(Error)]);
  } finally {
    await cluster.member(0).restart();
  }
});

test("a client whose listeners were all removed is silent, and hears those that come later", async () => {
  const etcd = clientOf([at(0)]);
  const heard: string[] = [];
  etcd.on("connected", () => heard.push("removed"));
  etcd.removeAllListeners();
  etcd.on("connected", () => heard.push("added later"));
  await etcd.put("k", "v");
  expect(heard).toEqual(["added later"]);
});

test("a client hears of its connections after its listeners were all removed, also where there were none", async () => {
  const etcd = clientOf([at(0)]);
  const heard: string[] = [];
  for (let times = 0; times < 3; times++) etcd.removeAllListeners();
  etcd.on("connected", () => heard.push("connected"));
  await etcd.put("k", "v");
  expect(heard).toEqual(["connected"]);
});

test("a unix socket is an endpoint", async () => {
  const path = join(tmpdir(), `etcd-recipes-${process.pid}.sock`);
  const server = createServer((near) => {
    const far = connect(Number(new URL(at(0)).port), "127.0.0.1");
    near.pipe(far).pipe(near);
    near.on("error", () => far.destroy());
    far.on("error", () => near.destroy());
  });
  server.listen(path);
  await once(server, "listening");
  try {
    const etcd = new EtcdClient({ endpoints: `unix://${path}` });
    await etcd.put("by-socket", "v");
    expect(etcd.endpoints).toEqual([`unix://${path}`]);
    expect((await etcd.get("by-socket"))?.text).toBe("v");
    await etcd.close();
  } finally {
    server.close();
    await rm(path, { force: true });
  }
});

test("health names the endpoint that answered, also one that refuses the key, else the one that was asked first", async () => {
  const answers = ["first", "second", "third"].map(() => ({
    refuses: undefined as Parameters<ScriptedCall["refuse"]>[0] | undefined,
  }));
  const servers = await Promise.all(
    answers.map((answer) =>
      ScriptedEtcd.start((call) => (answer.refuses ? call.refuse(answer.refuses) : call.answer())),
    ),
  );
  const endpoints = servers.map(({ endpoint }) => endpoint);
  const asked = () => servers.findIndex(({ calls }) => calls.length > 0);
  try {
    for (const refuses of [refusals.permissionDenied, undefined]) {
      for (const answer of answers) answer.refuses = refuses;
      // Which one is asked first is drawn: each of them is, sooner or later.
      const seen = new Set<number>();
      while (seen.size < endpoints.length) {
        for (const server of servers) server.calls.length = 0;
        await using etcd = new EtcdClient({ endpoints });
        expect(await etcd.health()).toMatchObject({ healthy: true, endpoint: endpoints[asked()] });
        seen.add(asked());
      }
    }
    for (const answer of answers) answer.refuses = refusals.noLeader;
    for (const server of servers) server.calls.length = 0;
    const order: string[] = [];
    for (const [index, server] of servers.entries()) {
      server.script = (call) => {
        order.push(endpoints[index] as string);
        call.refuse(refusals.noLeader);
      };
    }
    await using etcd = new EtcdClient({ endpoints });
    const { healthy, endpoint } = await etcd.health({ timeoutMs: 300 });
    expect({ healthy, endpoint }).toEqual({ healthy: false, endpoint: order[0] });
  } finally {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  }
});

test("what one member is asked alone moves no other call to it", async () => {
  const servers = await Promise.all([1, 2, 3].map(() => ScriptedEtcd.start((call) => call.answer())));
  try {
    await using etcd = new EtcdClient({ endpoints: servers.map(({ endpoint }) => endpoint) });
    for (let round = 0; round < 5; round++) {
      await etcd.get("a");
      for (const { endpoint } of servers) await etcd.status({ endpoint });
    }
    const served = servers.map(({ calls }) => calls.filter(({ method }) => method === "Range").length);
    expect(served.toSorted()).toEqual([0, 0, 5]);
  } finally {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  }
});
