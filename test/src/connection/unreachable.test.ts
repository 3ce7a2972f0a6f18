import { createServer } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient } from "../../../src/index.ts";
import { takePort } from "../../../testing/free-ports.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

let cluster: EtcdCluster;

beforeAll(async () => {
  cluster = await startEtcd();
});
afterAll(() => cluster.close());

async function closedEndpoint(): Promise<string> {
  return cluster.member(0).endpoint.replace(/\d+$/, String(await takePort()));
}

test("a get with nothing listening fails with ETCD_UNAVAILABLE within its time and says why", async () => {
  const endpoint = await closedEndpoint();
  await using etcd = new EtcdClient({ endpoints: endpoint });
  const { error, tookMs } = await outcomeOf(etcd.get("k", { timeoutMs: 500 }));
  expect(error).toMatchObject({ code: "ETCD_UNAVAILABLE", retryable: true, outcomeUnknown: false });
  expect((error as Error).message).toMatch(`${endpoint}: connect ECONNREFUSED`);
  expect(tookMs).toBeLessThan(1_500);
});

test("a call that reaches none of several endpoints names why for each, one that asks a member only its own", async () => {
  const endpoints = [await closedEndpoint(), await closedEndpoint()];
  await using etcd = new EtcdClient({ endpoints });
  for (const call of [() => etcd.get("k", { timeoutMs: 500 }), () => etcd.put("k", "v", { timeoutMs: 500 })]) {
    const error = await etcdErrorOf(call());
    expect(error).toMatchObject({ code: "ETCD_UNAVAILABLE", outcomeUnknown: false });
    for (const endpoint of endpoints) expect(error.message).toContain(`${endpoint}: connect ECONNREFUSED`);
  }
  for (const endpoint of endpoints) {
    const { message } = await etcdErrorOf(etcd.maintenance.status({ endpoint, timeoutMs: 500 }));
    expect(endpoints.filter((url) => message.includes(`${url}: connect ECONNREFUSED`))).toEqual([endpoint]);
  }
});

test("the same client works as soon as etcd comes up, also a call that began before", async () => {
  await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
  await proxy.down();
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  await etcdErrorOf(etcd.get("k", { timeoutMs: 300 }));
  const waiting = etcd.put("k", "v", { timeoutMs: 10_000 });
  await proxy.up();
  await waiting;
  expect((await etcd.get("k"))?.text).toBe("v");
});

test("a refused endpoint is passed over, for reads and for writes", async () => {
  const dead = await closedEndpoint();
  for (let i = 0; i < 4; i++) {
    await using etcd = new EtcdClient({ endpoints: [dead, ...cluster.endpoints] });
    const { version } = (await etcd.put("once", String(i), { previous: true })).previous ?? { version: 0 };
    expect(version).toBe(i);
    expect((await etcd.get("once"))?.text).toBe(String(i));
  }
});

test.each(["localhost", "LOCALHOST", "127.1"])("the host name %s reaches a server on 127.0.0.1", async (name) => {
  await using etcd = new EtcdClient({ endpoints: cluster.endpoints[0]?.replace("127.0.0.1", name) });
  expect((await etcd.status()).version).toBe(cluster.version);
});

test("a name that does not resolve, and an endpoint of the other scheme, are errors and no hang", async () => {
  const { protocol, host } = new URL(cluster.member(0).endpoint);
  const other = protocol === "http:" ? "https:" : "http:";
  for (const endpoint of [`${protocol}//no-such-host.invalid:2379`, `${other}//${host}`]) {
    await using etcd = new EtcdClient({ endpoints: endpoint });
    expect(await etcdErrorOf(etcd.get("k", { timeoutMs: 400 }))).toMatchObject({ code: "ETCD_UNAVAILABLE" });
  }
});

test("attempts that failed leave nothing behind that connects later on", async () => {
  await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
  await proxy.down();
  const gone = Array.from({ length: 5 }, () => new EtcdClient({ endpoints: proxy.endpoint }));
  await Promise.all(gone.map((etcd) => etcdErrorOf(etcd.get("k", { timeoutMs: 200 }))));
  await Promise.all(gone.map((etcd) => etcd.close()));
  await proxy.up();
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  // grpc-js dials once more, a second after a failure.
  const end = performance.now() + 2_000;
  await until(async () => (await etcd.get("k")) !== null && performance.now() > end);
  expect(proxy.accepted).toBe(1);
});

test("a crowd of calls dials no more often than one call", async () => {
  let dials = 0;
  const server = createServer((socket) => {
    dials++;
    socket.on("error", () => {});
    socket.resetAndDestroy();
  });
  const port = await takePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  await using etcd = new EtcdClient({ endpoints: `http://127.0.0.1:${port}` });
  const calls = Array.from({ length: 300 }, () => etcdErrorOf(etcd.get("k", { timeoutMs: 2_000 })));
  for (const error of await Promise.all(calls)) expect(error.code).toBe("ETCD_UNAVAILABLE");
  // Full jitter with a mean that grows from 25 to 500 ms: about ten in 2 s, by one client. Without it: over a thousand.
  expect(dials).toBeLessThan(40);
  server.close();
});
