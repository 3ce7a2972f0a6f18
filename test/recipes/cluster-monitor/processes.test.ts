import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { ClusterNode } from "../../../recipes/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import type { Child } from "../../support/child.ts";
import { Recorder } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { runProgram } from "../../support/run-program.ts";
import { until } from "../../support/until.ts";
import { monitorEvents, monitorOf, namesOf } from "./lab.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

/** A node in a process of its own. */
function nodeProcess(prefix: string, name: string, ttlSeconds: number): Child {
  const program = runProgram(
    `
    import { ClusterMonitor } from "etcd-recipes";
    const monitor = new ClusterMonitor(${JSON.stringify(prefix)}, { ttlSeconds: ${ttlSeconds} });
    await monitor.join(${JSON.stringify(name)}, { pid: process.pid }).ready;
    console.log("joined");`,
    { ETCD_ENDPOINTS: lab.endpoint },
  );
  lab.also(async () => {
    program.kill();
    await program.ended;
  });
  return program;
}

test("kill -9: the node is down within its TTL and 2 s", async () => {
  const prefix = lab.newPrefix();
  const monitor = monitorOf(lab, prefix);
  const recorder = new Recorder(monitor, monitorEvents);
  await monitor.ready;
  const ttlSeconds = 3;
  const program = nodeProcess(prefix, "n1", ttlSeconds);
  await until(() => namesOf(monitor).join() === "n1", { timeoutMs: 20_000 });
  // Somewhere between two renewals, which are a second apart.
  const killed = performance.now();
  program.kill();
  await until(() => recorder.of("down").length === 1, { timeoutMs: 20_000 });
  const tookMs = performance.now() - killed;
  console.log(`down ${tookMs.toFixed(0)} ms after kill -9, with a TTL of ${ttlSeconds} s`);
  expect(tookMs).toBeLessThan(ttlSeconds * 1_000 + 2_000);
  expect(monitor.nodes()).toEqual([]);
});

test("killed and started again within its TTL: changed, once, with a new upSince; never down, also past the old TTL", async () => {
  const prefix = lab.newPrefix();
  const monitor = monitorOf<{ pid: number }>(lab, prefix);
  await monitor.ready;
  // Longer than a busy machine takes to start a process.
  const ttlSeconds = 6;
  const first = nodeProcess(prefix, "n1", ttlSeconds);
  await until(() => namesOf(monitor).join() === "n1", { timeoutMs: 20_000 });
  const [before] = monitor.nodes();
  const recorder = new Recorder(monitor, monitorEvents);
  const oldLease = (await lab.etcd.get(`${prefix}n1`))?.lease;
  first.kill();
  await first.ended;
  const second = nodeProcess(prefix, "n1", ttlSeconds);
  await until(() => second.lines.includes("joined"), { timeoutMs: 20_000 });
  // Until the dead process's lease has ended, too.
  await until(async () => (await lab.etcd.leaseTimeToLive(oldLease as never).catch(() => "gone")) === "gone", {
    timeoutMs: 20_000,
  });
  const [after] = monitor.nodes();
  expect(recorder.names).toEqual(["changed"]);
  expect(recorder.events[0]?.args).toEqual([after, before]);
  expect(after?.upSince).toBeGreaterThan(before?.upSince ?? 0);
  expect([before, after].map((node) => node?.info.pid)).toEqual([first, second].map((program) => program.process.pid));
});

test("in an outage the last good list stays, with its age, and no node is reported down", async () => {
  const prefix = lab.newPrefix();
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const watcher = monitorOf(lab, prefix, { client: lab.client({ endpoints: proxy.endpoint }) });
  const cluster = monitorOf(lab, prefix);
  const [a] = ["a", "b"].map((name) => cluster.join(name, {}));
  await watcher.ready;
  await until(() => watcher.nodes().length === 2);
  const before = watcher.nodes();
  const recorder = new Recorder(watcher, monitorEvents);
  await proxy.down();
  await until(() => watcher.status === "stale");
  await a?.leave();
  await until(() => watcher.staleForMs > 100);
  expect(watcher.nodes()).toBe(before);
  expect(recorder.of("down")).toEqual([]);
  await proxy.up();
  await until(() => watcher.status === "live", { timeoutMs: 20_000 });
  await until(() => namesOf(watcher).join() === "b");
  expect(recorder.of<ClusterNode>("down").map(({ name }) => name)).toEqual(["a"]);
});

test("etcd is away for longer than the TTL: the node comes back by itself, with the same upSince", async () => {
  const prefix = lab.newPrefix();
  const client = lab.client();
  const monitor = monitorOf(lab, prefix, { client, ttlSeconds: 1 });
  const membership = monitor.join("a", {});
  await Promise.all([monitor.ready, membership.ready]);
  await until(() => monitor.nodes().length === 1);
  const [before] = monitor.nodes();
  await lab.cluster.kill();
  await until(() => membership.status === "recovering");
  expect(monitor.nodes()).toEqual([before]);
  await lab.cluster.restart();
  await until(() => membership.status === "registered" && monitor.status === "live", { timeoutMs: 20_000 });
  await until(() => monitor.nodes().length === 1);
  expect(monitor.nodes()[0]?.upSince).toBe(before?.upSince);
});

test("a key that was deleted and made again is changed when both come in one step, else down and up", async () => {
  const prefix = lab.newPrefix();
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const [watcher, beside] = [lab.client({ endpoints: proxy.endpoint }), lab.client()].map((client) =>
    monitorOf(lab, prefix, { client }),
  );
  const membership = monitorOf(lab, prefix).join("a", {});
  await Promise.all([watcher?.ready, beside?.ready, membership.ready]);
  await until(() => watcher?.nodes().length === 1 && beside?.nodes().length === 1);
  const [before] = watcher?.nodes() ?? [];
  const recorders = [watcher, beside].map((monitor) => new Recorder(monitor as never, ["up", "down", "changed"]));
  await proxy.down();
  await until(() => watcher?.status === "stale");
  const made = (await lab.etcd.get(`${prefix}a`))?.createRevision ?? 0;
  await lab.etcd.delete(`${prefix}a`);
  // The register puts it back by itself.
  const again = await until(async () => {
    const kv = await lab.etcd.get(`${prefix}a`);
    return kv && kv.createRevision > made ? kv : undefined;
  });
  await lab.cluster.compact(again.modRevision);
  await proxy.up();
  await until(() => recorders[0]?.events.length && recorders[1]?.events.length === 2, { timeoutMs: 20_000 });
  expect(recorders.map(({ names }) => names)).toEqual([["changed"], ["down", "up"]]);
  expect(watcher?.nodes()[0]?.upSince).toBe(before?.upSince);
});
