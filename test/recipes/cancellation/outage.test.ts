import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { CancellationOptions } from "../../../recipes/index.ts";
import { EtcdClient } from "../../../src/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { Recorder } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";
import { cancellationEvents, cancellationOf } from "./lab.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

/** A follower behind a link that can be broken, and one beside it. */
async function behindLink(options: CancellationOptions = {}) {
  const prefix = lab.newPrefix();
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const runner = cancellationOf(lab, prefix, { ...options, client: lab.client({ endpoints: proxy.endpoint }) });
  const signals = ["a", "b", "c"].map((id) => runner.signal(id));
  await runner.ready;
  const recorder = new Recorder(runner, cancellationEvents);
  return { prefix, proxy, runner, signals, recorder, beside: cancellationOf(lab, prefix) };
}

test("cancelled while the link is cut: the signal aborts when it is back", async () => {
  const { proxy, runner, signals, beside, recorder } = await behindLink();
  await proxy.down();
  await until(() => runner.status === "stale");
  await beside.cancel("b", "meanwhile");
  await proxy.up();
  await until(() => signals[1]?.aborted, { timeoutMs: 20_000 });
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, true, false]);
  expect(recorder.of("cancelled")).toEqual(["b"]);
});

test("cancelled and compacted away while the link is cut: the signal aborts all the same", async () => {
  const { prefix, proxy, runner, signals, beside } = await behindLink();
  await proxy.down();
  await until(() => runner.status === "stale");
  await beside.cancel("b", "meanwhile");
  const { revision } = await lab.etcd.put(`${prefix}other`, "");
  await lab.cluster.compact(revision);
  await proxy.up();
  await until(() => signals[1]?.aborted, { timeoutMs: 20_000 });
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, true, false]);
});

test("a cancel whose answer is lost is known again: true, and only one was written", async () => {
  const { prefix, proxy, runner } = await behindLink();
  // So that a lease and a connection are there.
  await runner.cancel("a");
  // The request goes through, its answer does not.
  proxy.blackHole("toClient");
  const cancelled = runner.cancel("b", "once", { timeoutMs: 20_000 });
  await until(() => lab.etcd.get(`${prefix}b`), { timeoutMs: 20_000 });
  proxy.cut();
  await proxy.heal();
  expect(await cancelled).toBe(true);
  expect((await lab.etcd.get(`${prefix}b`))?.version).toBe(1);
});

test("of several cancels of one run at the same time, whose answers are lost, one has cancelled it", async () => {
  const { prefix, proxy, runner } = await behindLink();
  await runner.cancel("a");
  proxy.blackHole("toClient");
  const cancelled = Array.from({ length: 3 }, () => runner.cancel("b", "once", { timeoutMs: 20_000 }));
  await until(() => lab.etcd.get(`${prefix}b`), { timeoutMs: 20_000 });
  proxy.cut();
  await proxy.heal();
  expect(await Promise.all(cancelled)).toEqual([true, false, false]);
  expect((await lab.etcd.get(`${prefix}b`))?.version).toBe(1);
});

test("of cancels of one run by two objects on one client, whose answers are lost, one has cancelled it", async () => {
  const { prefix, proxy } = await behindLink();
  const client = lab.client({ endpoints: proxy.endpoint });
  const [first, second] = [cancellationOf(lab, prefix, { client }), cancellationOf(lab, prefix, { client })];
  await Promise.all([first.ready, second.ready]);
  await first.cancel("c");
  proxy.blackHole("toClient");
  const cancelled = [first, second].map((it) => it.cancel("b", "once", { timeoutMs: 20_000 }));
  await until(() => lab.etcd.get(`${prefix}b`), { timeoutMs: 20_000 });
  proxy.cut();
  await proxy.heal();
  expect(await Promise.all(cancelled)).toEqual([true, false]);
});

test("a cancel that gives up, or is closed, behind another one of the same run lets none pass, and writes nothing", async () => {
  const { prefix, proxy, runner } = await behindLink();
  await runner.cancel("a");
  proxy.blackHole("toClient");
  const end = new AbortController();
  const first = runner.cancel("b", "once", { timeoutMs: 20_000 });
  const second = runner.cancel("b", "once", { signal: end.signal }).catch((error: Error) => error.name);
  await until(() => lab.etcd.get(`${prefix}b`), { timeoutMs: 20_000 });
  end.abort();
  expect(await second).toBe("AbortError");
  const third = runner.cancel("b", "once", { timeoutMs: 20_000 });
  proxy.cut();
  await proxy.heal();
  expect(await Promise.all([first, third])).toEqual([true, false]);
  proxy.blackHole("toClient");
  const long = { timeoutMs: 20_000 };
  const calls = [runner.cancel("c", "", long), runner.cancel("c", "", long).catch((error: Error) => error.name)];
  await until(() => lab.etcd.get(`${prefix}c`), { timeoutMs: 20_000 });
  await runner.close();
  proxy.cut();
  await proxy.heal();
  expect(await Promise.all(calls)).toEqual([true, "ClientClosedError"]);
});

test("a cancel whose answer is lost is known again also when it is made again on another lease", async () => {
  // A key that is to live for 30 s has a lease of 31 s, which is used for its first second alone.
  const { prefix, proxy, runner } = await behindLink({ ttlSeconds: 30 });
  await runner.cancel("a");
  proxy.blackHole("toClient");
  const cancelled = runner.cancel("b", "once", { timeoutMs: 20_000 });
  const written = await until(() => lab.etcd.get(`${prefix}b`), { timeoutMs: 20_000 });
  const later = performance.now() + 1_500;
  await until(() => performance.now() > later);
  proxy.cut();
  await proxy.heal();
  expect(await cancelled).toBe(true);
  expect(await lab.etcd.get(`${prefix}b`)).toEqual(written);
  await runner.cancel("c");
  expect((await lab.etcd.get(`${prefix}c`))?.lease).not.toBe(written.lease);
});

test("with etcd away a cancel fails within its time and is not taken for done", async () => {
  const { proxy, runner, signals } = await behindLink();
  await proxy.down();
  const began = performance.now();
  await expect(runner.cancel("a", "", { timeoutMs: 500 })).rejects.toMatchObject({ code: "ETCD_TIMEOUT" });
  expect(performance.now() - began).toBeLessThan(1_500);
  expect(signals[0]?.aborted).toBe(false);
});

test("etcd is restarted in between", async () => {
  const prefix = lab.newPrefix();
  const runner = cancellationOf(lab, prefix, { client: lab.client() });
  const signal = runner.signal("run-1");
  await runner.ready;
  await lab.cluster.kill();
  await until(() => runner.status === "stale");
  await lab.cluster.restart();
  await cancellationOf(lab, prefix, { client: lab.client() }).cancel("run-1");
  await until(() => signal.aborted, { timeoutMs: 20_000 });
});

test("etcd is wiped: what aborted stays aborted, and what is cancelled after it aborts", async () => {
  const prefix = lab.newPrefix();
  const runner = cancellationOf(lab, prefix, { client: lab.client() });
  const [before, after] = ["before", "after"].map((id) => runner.signal(id));
  await runner.ready;
  await runner.cancel("before", "x");
  await lab.cluster.wipe();
  await using beside = new EtcdClient({ endpoints: lab.cluster.endpoints });
  const canceller = cancellationOf(lab, prefix, { client: beside });
  expect(await canceller.cancel("after", "y", { timeoutMs: 10_000 })).toBe(true);
  await until(() => after?.aborted, { timeoutMs: 20_000 });
  expect(before?.aborted).toBe(true);
  expect(runner.signal("before")).toBe(before);
  // On a lease that the wiped etcd no longer has.
  expect(await runner.cancel("later", "z", { timeoutMs: 10_000 })).toBe(true);
});
