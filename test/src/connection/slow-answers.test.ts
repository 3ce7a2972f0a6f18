import { expect, test } from "vitest";
import { AttemptTime } from "../../../src/connection/attempt-time.ts";
import { EtcdClient } from "../../../src/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { type Script, ScriptedEtcd } from "../secure/scripted-etcd.ts";

// A read that takes etcd, or its way, longer than an attempt comes through in the end, and each endpoint has its turn
// before.

/** A call says how long it waits: it is answered if that is enough. */
const needs =
  (ms: number): Script =>
  (call) => {
    if (call.timeoutMs === undefined || call.timeoutMs >= ms) call.answer();
  };

test("a read has longer when it was asked for in vain", async () => {
  await using server = await ScriptedEtcd.start(needs(2_100));
  await using etcd = new EtcdClient({ endpoints: server.endpoint });
  expect(await etcd.get("k", { timeoutMs: 30_000 })).toBeUndefined();
  expect(server.calls[0]?.timeoutMs).toBeLessThanOrEqual(2_000);
});

const late = (time: AttemptTime) => time.failed(true);
const refused = (time: AttemptTime) => time.failed(false);

test.each<[string, timeoutMs: number, round: ((time: AttemptTime) => void)[], limits: number[]]>([
  ["one that is late", 60_000, [late], [2_000, 4_000, 8_000, 16_000, 30_000]],
  ["one that is late, within the time of a call", 6_000, [late], [2_000, 4_000]],
  ["several that are late", 30_000, [late, late, late], [2_000, 4_000, 8_000]],
  ["one that refuses at once", 30_000, [refused], [2_000, 2_000, 2_000]],
  // There is to be time for those that refuse, if they do better.
  ["one that is late, and one that refuses", 5_400, [late, refused], [1_800, 1_800, 1_800]],
  ["one that is late, and one that refuses, in a long time", 20_000, [late, refused], [2_000, 4_000, 7_000, 3_500]],
])("attempts have longer from round to round with %s", (_, timeoutMs, round, limits) => {
  const time = new AttemptTime(timeoutMs);
  let leftMs = timeoutMs;
  const seen: number[] = [];
  while (seen.length < limits.length) {
    seen.push(time.limitMs(leftMs));
    for (const fail of round) {
      if (fail === late) leftMs -= time.limitMs(leftMs);
      fail(time);
    }
    time.roundEnded();
  }
  expect(seen).toEqual(limits);
});

test("each endpoint is asked within a third of the time of a call", async () => {
  await using one = await ScriptedEtcd.start(() => {});
  await using other = await ScriptedEtcd.start(() => {});
  await using etcd = new EtcdClient({ endpoints: [one.endpoint, other.endpoint] });
  await etcdErrorOf(etcd.get("k", { timeoutMs: 3_000 }));
  for (const { calls } of [one, other]) {
    expect(calls.length).toBeGreaterThan(0);
    for (const { timeoutMs } of calls) expect(timeoutMs).toBeLessThanOrEqual(1_000);
  }
});
