import { afterEach, describe, expect, test } from "vitest";
import { ServiceRegister } from "../../../recipes/index.ts";
import { EtcdClient, type EtcdClientOptions, leaseId, prefix, putOp } from "../../../src/index.ts";
import {
  type AuthSetup,
  type EtcdCluster,
  FaultProxy,
  type StartEtcdOptions,
  startEtcd,
} from "../../../testing/index.ts";
import { requestsServed } from "../../support/gateway/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { startGrpcProxy } from "../../support/proxies/etcd-grpc-proxy.ts";
import type { EtcdProxy } from "../../support/proxies/etcd-proxy.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

// `etcd grpc-proxy` passes most of etcd's refusals on as gRPC's UNKNOWN: only the sentence says what etcd meant.

const made: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of made.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

function own<T extends AsyncDisposable>(thing: T): T {
  made.push(thing);
  return thing;
}

async function setUp(options: StartEtcdOptions = {}): Promise<{ cluster: EtcdCluster; proxy: EtcdProxy }> {
  const cluster = own(await startEtcd(options));
  return { cluster, proxy: own(await startGrpcProxy(cluster.endpoints)) };
}

function client(options: EtcdClientOptions): EtcdClient {
  return own(new EtcdClient(options));
}

test("what etcd refuses has its own code, and is known not to be executed", async () => {
  const { cluster, proxy } = await setUp();
  const etcd = client({ endpoints: proxy.endpoint });
  const { revision } = await etcd.put("k", "v");
  await etcd.put("k", "w");
  await cluster.compact(revision + 1);
  const lease = leaseId("7fffffffffffffff");
  const twice = { success: [putOp("twice", "v"), putOp("twice", "v")] };
  const many = { success: Array.from({ length: 129 }, (_, index) => putOp(`many/${index}`, "v")) };
  const refusals: [string, () => Promise<unknown>][] = [
    ["ETCD_COMPACTED", () => etcd.get("k", { revision })],
    ["ETCD_FUTURE_REVISION", () => etcd.get("k", { revision: 1_000_000 })],
    ["ETCD_LEASE_NOT_FOUND", () => etcd.put("k", "v", { lease })],
    ["ETCD_REQUEST_REFUSED", () => etcd.txn(twice)],
    ["ETCD_REQUEST_REFUSED", () => etcd.txn(many)],
    ["ETCD_REQUEST_REFUSED", () => etcd.put("large", "x".repeat(1_800_000))],
    ["ETCD_REQUEST_REFUSED", () => etcd.put("larger", "x".repeat(6_000_000))],
  ];
  for (const [code, call] of refusals) {
    expect(await etcdErrorOf(call())).toMatchObject({ code, retryable: false, outcomeUnknown: false });
  }
});

test("each of many watches gets its own events, though the proxy confirms them in any order", async () => {
  const { cluster, proxy } = await setUp();
  const etcd = client({ endpoints: proxy.endpoint });
  const writer = client({ endpoints: cluster.endpoints });
  for (let round = 1; round <= 5; round++) {
    const keys = Array.from({ length: 200 }, (_, index) => `round-${round}/${index}`);
    const watches = keys.map((key) => own(etcd.watch(key)));
    const recordings = watches.map(record);
    await Promise.all(watches.map(({ ready }) => ready));
    await Promise.all(keys.map((key) => writer.put(key, "v")));
    const received = () => recordings.map(({ items }) => items.flatMap(({ events }) => events.map(({ kv }) => kv.key)));
    await until(() => received().flat().length >= keys.length);
    expect(received()).toEqual(keys.map((key) => [key]));
    await Promise.all(watches.map((watch) => watch.close()));
  }
});

describe("a mirror whose stream broke", () => {
  async function followed() {
    const { cluster, proxy } = await setUp();
    const link = own(await FaultProxy.start(proxy.endpoint));
    const writer = client({ endpoints: cluster.endpoints });
    // A wiped etcd does not come so far again: what the mirror knows is of a revision to come.
    for (let count = 0; count < 20; count++) await writer.put("elsewhere", String(count));
    await writer.put("svc/a", "1");
    const mirror = own(client({ endpoints: link.endpoint }).mirror(prefix("svc/")));
    await mirror.ready;
    return { cluster, link, writer, mirror };
  }

  test("lists anew after a compaction", async () => {
    const { cluster, link, writer, mirror } = await followed();
    await link.down();
    await until(() => mirror.status === "stale");
    await writer.delete("svc/a");
    const { revision } = await writer.put("svc/b", "2");
    await writer.put("svc/b", "3");
    await cluster.compact(revision + 1);
    await link.up();
    await until(() => mirror.status === "live" && mirror.get("svc/b")?.text === "3");
    expect([...mirror.entries.keys()]).toEqual(["svc/b"]);
  });

  test("lists anew after etcd was wiped, and a registration comes back", async () => {
    const { cluster, link, writer, mirror } = await followed();
    const server = own(
      new ServiceRegister("svc/me", "10.0.0.1:80", 5, { client: client({ endpoints: link.endpoint }) }),
    );
    await server.ready;
    await until(() => mirror.size === 2);
    await link.down();
    await until(() => mirror.status === "stale");
    await cluster.wipe();
    await writer.put("svc/other", "1");
    await link.up();
    await until(() => mirror.status === "live" && [...mirror.entries.keys()].sort().join() === "svc/me,svc/other", {
      timeoutMs: 30_000,
    });
    expect((await writer.get("svc/me"))?.text).toBe("10.0.0.1:80");
  });
});

describe("with authentication", () => {
  const users = { alice: { password: "p", permissions: [{ readwrite: { prefix: "mine/" } }] } } as const;

  async function setUpAlice(auth: AuthSetup) {
    const { cluster, proxy } = await setUp({ auth: { ...auth, users } });
    const link = own(await FaultProxy.start(proxy.endpoint));
    const etcd = client({ endpoints: link.endpoint, auth: { username: "alice", password: "p" } });
    return { cluster, link, etcd };
  }

  test("a permission that is missing is reported at once", async () => {
    const { etcd } = await setUpAlice({});
    await etcd.put("mine/k", "v");
    const refused = [
      () => etcd.put("yours/k", "v"),
      () => etcd.range(prefix("yours/")),
      () => etcd.watch("yours/k", { startRevision: 1 }).ready,
      () => etcd.mirror("yours/k").ready,
    ];
    for (const call of refused) {
      expect(await etcdErrorOf(call())).toMatchObject({ code: "ETCD_PERMISSION_DENIED", outcomeUnknown: false });
    }
  });

  test("a token that ran out is renewed for calls, and for a mirror whose stream broke", async () => {
    const { cluster, link, etcd } = await setUpAlice({ token: "jwt", tokenTtlSeconds: 1 });
    const mirror = own(etcd.mirror(prefix("mine/")));
    await mirror.ready;
    const endpoint = cluster.member(0).endpoint;
    const tokens = async () => (await requestsServed(endpoint)).Authenticate ?? 0;
    let writes = 0;
    const tokensAtFirst = await tokens();
    while ((await tokens()) < tokensAtFirst + 2) await etcd.put("mine/k", String(++writes));
    link.cut();
    await until(() => etcd.put("mine/k", "last"));
    await until(() => mirror.status === "live" && mirror.get("mine/k")?.text === "last");
  });
});
