import { getEventListeners } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient } from "../../../src/index.ts";
import { takePort } from "../../../testing/free-ports.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { startSilentServer } from "../../support/silent-server.ts";
import { until } from "../../support/until.ts";

let cluster: EtcdCluster;

beforeAll(async () => {
  cluster = await startEtcd();
});
afterAll(() => cluster.close());

const reasons = [new Error("enough"), "a string", 0, null];

function listenersOf(signal: AbortSignal): number {
  return getEventListeners(signal, "abort").length;
}

test.each(reasons)("a call aborted before it begins rejects with the reason %s and dials no server", async (reason) => {
  await using silent = await startSilentServer();
  await using etcd = new EtcdClient({ endpoints: silent.endpoint });
  const signal = AbortSignal.abort(reason);
  const calls = [
    etcd.get("k", { signal }),
    etcd.range("k", { signal }),
    etcd.put("k", "v", { signal }),
    etcd.delete("k", { signal }),
    etcd.txn({}, { signal }),
    etcd.grantLease(5, { signal }),
    etcd.status({ signal }),
  ];
  for (const call of calls) expect((await outcomeOf<unknown>(call)).error).toBe(reason);
  expect(listenersOf(signal)).toBe(0);
  expect(silent.accepted).toBe(0);
});

test("a call aborted before it begins leaves no rejection behind when nothing listens", async () => {
  await using etcd = new EtcdClient({ endpoints: `http://127.0.0.1:${await takePort()}` });
  const signal = AbortSignal.abort("reason");
  // An unhandled rejection, now or when the dial fails, fails the run.
  expect((await outcomeOf(etcd.get("k", { signal }))).error).toBe("reason");
  await outcomeOf(etcd.get("k", { timeoutMs: 100 }));
});

test.each(reasons)("a call aborted while it connects rejects with the reason %s", async (reason) => {
  await using silent = await startSilentServer();
  await using etcd = new EtcdClient({ endpoints: silent.endpoint });
  const controller = new AbortController();
  const call = outcomeOf(etcd.put("k", "v", { signal: controller.signal }));
  await until(() => silent.connections > 0);
  expect(listenersOf(controller.signal)).toBe(1);
  controller.abort(reason);
  expect((await call).error).toBe(reason);
  expect(listenersOf(controller.signal)).toBe(0);
});

test.each(reasons)("a call aborted in flight rejects with the reason %s", async (reason) => {
  await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
  await using etcd = new EtcdClient({ endpoints: proxy.endpoint });
  await etcd.get("k");
  proxy.blackHole("toClient");
  const controller = new AbortController();
  const call = outcomeOf(etcd.put("in flight", String(reason), { signal: controller.signal }));
  await using other = new EtcdClient({ endpoints: cluster.endpoints });
  await until(async () => (await other.get("in flight"))?.text === String(reason));
  controller.abort(reason);
  expect((await call).error).toBe(reason);
  expect(listenersOf(controller.signal)).toBe(0);
});

test("a call aborted while it pauses between attempts rejects at once", async () => {
  await using etcd = new EtcdClient({ endpoints: `http://127.0.0.1:${await takePort()}`, requestTimeoutMs: 60_000 });
  const controller = new AbortController();
  const call = outcomeOf(etcd.get("k", { signal: controller.signal }));
  // Refused again and again by now: it pauses most of the time.
  await outcomeOf(etcd.get("k", { timeoutMs: 300 }));
  controller.abort("reason");
  expect(await Promise.race([call, nextTurn("later")])).toMatchObject({ error: "reason" });
  expect(listenersOf(controller.signal)).toBe(0);
});

test("a signal that many calls share holds none of them when they are done", async () => {
  await using etcd = new EtcdClient({ endpoints: cluster.endpoints });
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 100 }, (_, i) => etcd.put(`shared/${i}`, "v", { signal })));
  const lease = await etcd.grantLease(5, { signal });
  await lease.revoke({ signal });
  expect(listenersOf(signal)).toBe(0);
});

test.each([0, -1, Number.NaN, "5" as unknown as number])("timeoutMs %s is refused by name", async (timeoutMs) => {
  await using etcd = new EtcdClient({ endpoints: cluster.endpoints });
  for (const call of [etcd.get("k", { timeoutMs }), etcd.put("k", "v", { timeoutMs }), etcd.status({ timeoutMs })]) {
    await expect(call).rejects.toMatchObject({ code: "ETCD_INVALID_OPTION", option: "timeoutMs" });
  }
});

test("what is no AbortSignal is refused by name", async () => {
  await using etcd = new EtcdClient({ endpoints: cluster.endpoints });
  const signal = new AbortController() as unknown as AbortSignal;
  await expect(etcd.get("k", { signal })).rejects.toMatchObject({ code: "ETCD_INVALID_OPTION", option: "signal" });
});
