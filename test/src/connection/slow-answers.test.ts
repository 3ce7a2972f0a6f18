import { expect, test } from "vitest";
import { EtcdClient } from "../../../src/index.ts";
import { type Script, ScriptedEtcd } from "../secure/scripted-etcd.ts";

// A read that takes etcd, or its way, longer than an attempt comes through in the end, and each endpoint has its turn
// before.

const attempts = ({ calls }: ScriptedEtcd) => calls.map(({ timeoutMs = 0 }) => timeoutMs);
/** A call says how long it waits: it is answered if that is enough. */
const needs =
  (ms: number): Script =>
  (call) => {
    if (call.timeoutMs === undefined || call.timeoutMs >= ms) call.answer();
  };

test("a read has twice as long when it was asked for in vain", async () => {
  await using server = await ScriptedEtcd.start(needs(1_200));
  await using etcd = new EtcdClient({ endpoints: server.endpoint });
  expect(await etcd.get("k", { timeoutMs: 3_000 })).toBeUndefined();
  const [first, second, ...others] = attempts(server);
  expect(others).toEqual([]);
  expect(first).toBeLessThanOrEqual(1_000);
  expect(second).toBeLessThanOrEqual(2_000);
});

test("no endpoint is asked for longer before the others were asked", async () => {
  await using silent = await ScriptedEtcd.start(() => {});
  await using slow = await ScriptedEtcd.start(needs(600));
  await using etcd = new EtcdClient({ endpoints: [silent.endpoint, slow.endpoint] });
  expect(await etcd.get("k", { timeoutMs: 2_400 })).toBeUndefined();
  // A second of them begins: its place in the order is drawn.
  for (const time of [...attempts(silent), ...attempts(slow)]) expect(time).toBeLessThanOrEqual(800);
});

test("a server that refuses at once gives a later attempt no more time", async () => {
  let refused = 0;
  await using server = await ScriptedEtcd.start((call) => {
    if (refused++ < 5) call.refuse([14, "etcdserver: no leader"]);
    else call.answer();
  });
  await using etcd = new EtcdClient({ endpoints: server.endpoint });
  await etcd.get("k", { timeoutMs: 30_000 });
  expect(attempts(server)).toHaveLength(6);
  for (const time of attempts(server)) expect(time).toBeLessThanOrEqual(2_000);
});
