import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient } from "../../../src/index.ts";
import { type EtcdCluster, type EtcdMember, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { startSilentServer } from "../../support/silent-server.ts";
import { until } from "../../support/until.ts";

// HARDSHIPS 3: a stopped server keeps its connections, accepts new ones, and answers nothing.

let cluster: EtcdCluster;
let member: EtcdMember;

beforeAll(async () => {
  cluster = await startEtcd();
  member = cluster.member(0);
});
afterAll(() => cluster.close());

/** Long enough for three attempts, short enough for a test. */
const requestTimeoutMs = 1_500;

test.each(["before it was connected to", "after it was connected to"])(
  "a member that froze %s fails a get within its time, a put with an unknown outcome, and serves both when it goes on",
  async (when) => {
    await using etcd = new EtcdClient({ endpoints: cluster.endpoints, requestTimeoutMs });
    const connected = when.startsWith("after");
    if (connected) await etcd.put("k", "before");
    await member.pause();
    const get = await outcomeOf(etcd.get("k"));
    expect(get.error).toMatchObject({ code: expect.stringMatching(/^ETCD_(UNAVAILABLE|TIMEOUT)$/), retryable: true });
    expect(get.tookMs).toBeLessThan(requestTimeoutMs + 1_000);
    await member.resume();
    await until(() => etcd.get("k").then(() => true));
    await member.pause();
    const put = await etcdErrorOf(etcd.put("k", "during"));
    expect(put).toMatchObject({ retryable: true, outcomeUnknown: true });
    await member.resume();
    await until(() => etcd.put("k", "after").then(() => true));
    expect((await etcd.get("k"))?.text).toBe("after");
  },
);

test("a put that finds no connection was not executed, and says so", async () => {
  await using etcd = new EtcdClient({ endpoints: cluster.endpoints, requestTimeoutMs });
  await member.pause();
  expect(await etcdErrorOf(etcd.put("never", "sent"))).toMatchObject({
    code: "ETCD_UNAVAILABLE",
    outcomeUnknown: false,
  });
  await member.resume();
  await until(async () => (await etcd.get("never")) === undefined);
});

test.each(["frozen link", "silent listener"])("calls move on from a %s to a healthy endpoint", async (kind) => {
  await using silent = await startSilentServer();
  await using proxy = await FaultProxy.start(member.endpoint);
  proxy.blackHole();
  const silentEndpoint = member.endpoint.replace(/\d+$/, new URL(silent.endpoint).port);
  const dead = kind === "silent listener" ? silentEndpoint : proxy.endpoint;
  // Whichever endpoint a client begins with: several clients.
  for (let i = 0; i < 4; i++) {
    await using etcd = new EtcdClient({ endpoints: [dead, member.endpoint], requestTimeoutMs });
    await etcd.put("moved", "on");
    expect((await etcd.get("moved"))?.text).toBe("on");
  }
});

test("calls move on from a link that goes dead under them, and later ones do not wait for it", async () => {
  await using first = await FaultProxy.start(member.endpoint);
  await using second = await FaultProxy.start(member.endpoint);
  await using etcd = new EtcdClient({ endpoints: [first.endpoint, second.endpoint], requestTimeoutMs: 3_000 });
  await etcd.get("k");
  const [used, other] = first.accepted > 0 ? [first, second] : [second, first];
  used.blackHole();
  await etcd.get("k");
  expect(other.accepted).toBe(1);
  const later = await outcomeOf(etcd.put("k", "v"));
  expect(later.error).toBeUndefined();
  expect(later.tookMs).toBeLessThan(1_000);
});

test("no socket is left behind by connections that never came up", async () => {
  await using silent = await startSilentServer();
  const etcd = new EtcdClient({ endpoints: silent.endpoint, dialTimeoutMs: 50, requestTimeoutMs: 600 });
  await etcdErrorOf(etcd.get("k"));
  expect(silent.accepted).toBeGreaterThan(1);
  await until(() => silent.connections <= 1, { message: () => `${silent.connections} connections are open` });
  await etcd.close();
  await until(() => silent.connections === 0, { message: () => `${silent.connections} connections are open` });
});
