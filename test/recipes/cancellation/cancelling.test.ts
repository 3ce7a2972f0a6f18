import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { CancelledError, ClientClosedError, EtcdClient } from "../../../recipes/index.ts";
import { viewOf } from "../../support/etcd-view.ts";
import { leasesOf, watcherCounts } from "../../support/gateway/index.ts";
import { Recorder } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { runProgram } from "../../support/run-program.ts";
import { until } from "../../support/until.ts";
import { cancellationEvents, cancellationOf } from "./lab.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("a signal aborts with the reason when another process cancels the run, and no other one does", async () => {
  const prefix = lab.newPrefix();
  const runner = cancellationOf(lab, prefix, { client: lab.client() });
  const signal = runner.signal("run-1");
  const other = runner.signal("run-10");
  await runner.ready;
  expect(await cancellationOf(lab, prefix).cancel("run-1", "superseded")).toBe(true);
  await until(() => signal.aborted);
  expect(signal.reason).toBeInstanceOf(CancelledError);
  expect(signal.reason).toMatchObject({ code: "ETCD_CANCELLED", runId: "run-1", reason: "superseded" });
  expect(signal.reason.message).toBe("run-1 was cancelled: superseded");
  expect(other.aborted).toBe(false);
  expect(await viewOf(lab.etcd, prefix)).toEqual({ "run-1": "superseded" });
});

test("a cancellation that came first aborts the signal: at once when it is known, else with the first list", async () => {
  const prefix = lab.newPrefix();
  await cancellationOf(lab, prefix).cancel("run-1");
  const runner = cancellationOf(lab, prefix, { client: lab.client() });
  const early = runner.signal("run-1");
  expect(early.aborted).toBe(false);
  await runner.ready;
  expect(early.aborted).toBe(true);
  expect(early.reason.reason).toBe("");
  runner.release("run-1");
  expect(runner.signal("run-1").aborted).toBe(true);
});

test("the first reason stays, and a later caller gets it; its signal aborts with the first reason", async () => {
  const prefix = lab.newPrefix();
  const [first, second] = [cancellationOf(lab, prefix), cancellationOf(lab, prefix, { client: lab.client() })];
  const signal = second.signal("run-1");
  const outcomes = await Promise.all([
    first.cancel("run-1", "a"),
    first.cancel("run-1", "a"),
    first.cancel("run-1", "b"),
  ]);
  expect(outcomes.filter(Boolean)).toHaveLength(1);
  const { "run-1": reason } = await viewOf(lab.etcd, prefix);
  expect(await second.cancel("run-1", "late")).toBe(false);
  expect(signal.aborted).toBe(true);
  expect(signal.reason.reason).toBe(reason);
});

test("what is cancelled here aborts as soon as etcd has acknowledged it, whether or not the watch has reported it", async () => {
  const cancellation = cancellationOf(lab, lab.newPrefix());
  const signal = cancellation.signal("run-1");
  // Nothing has been listed yet.
  await cancellation.cancel("run-1", "now");
  expect(signal.aborted).toBe(true);
  await cancellation.cancel("run-2", "now");
  expect(cancellation.signal("run-2").aborted).toBe(true);
});

test("a plain put by hand cancels as well; deletion and expiry take nothing back", async () => {
  const prefix = lab.newPrefix();
  const cancellation = cancellationOf(lab, prefix, { ttlSeconds: 1 });
  const recorder = new Recorder(cancellation, cancellationEvents);
  const byHand = cancellation.signal("run-1");
  const expiring = cancellation.signal("run-2");
  await cancellation.ready;
  await lab.etcd.put(`${prefix}run-1`, "by hand");
  await until(() => byHand.aborted);
  await lab.etcd.delete(`${prefix}run-1`);
  await cancellation.cancel("run-2", "short");
  await until(async () => Object.keys(await viewOf(lab.etcd, prefix)).length === 0);
  // Comes after the deletions by the same watch.
  await lab.etcd.put(`${prefix}run-3`, "");
  await until(() => recorder.of("cancelled").includes("run-3"));
  expect(cancellation.signal("run-1")).toBe(byHand);
  expect(byHand.aborted && byHand.reason.reason).toBe("by hand");
  expect(cancellation.signal("run-2")).toBe(expiring);
  expect(expiring.aborted).toBe(true);
});

test("each is emitted once, also those present at the start and those without a signal; the signal aborts first", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}old`, "x");
  const cancellation = cancellationOf(lab, prefix);
  const recorder = new Recorder(cancellation, cancellationEvents);
  const signal = cancellation.signal("new");
  const seen: boolean[] = [];
  cancellation.on("cancelled", (runId) => runId === "new" && seen.push(signal.aborted));
  await cancellation.ready;
  await cancellation.cancel("new", "y");
  await lab.etcd.put(`${prefix}old`, "x again");
  await lab.etcd.put(`${prefix}nobody/follows/it`, "z");
  await until(() => recorder.of("cancelled").length === 3);
  expect(recorder.events.filter(({ name }) => name === "cancelled").map(({ args }) => args)).toEqual([
    ["old", "x"],
    ["new", "y"],
    ["nobody/follows/it", "z"],
  ]);
  expect(seen).toEqual([true]);
});

test("a key that names no run is a warning and hurts nothing", async () => {
  const prefix = lab.newPrefix();
  const cancellation = cancellationOf(lab, prefix);
  const recorder = new Recorder(cancellation, cancellationEvents);
  await cancellation.ready;
  await lab.etcd.put(prefix, "the prefix itself");
  await lab.etcd.put(Buffer.concat([Buffer.from(prefix), Buffer.of(0xff)]), "not UTF-8");
  await lab.etcd.put(`${prefix}run-1`, Buffer.of(0xff, 0xfe));
  await until(() => recorder.of("cancelled").length === 1);
  expect(recorder.of("warning").map((error) => (error as { code: string }).code)).toEqual([
    "ETCD_INVALID_VALUE",
    "ETCD_INVALID_VALUE",
  ]);
});

test("the same signal for the same run until it is released; a released one never aborts", async () => {
  const prefix = lab.newPrefix();
  const cancellation = cancellationOf(lab, prefix);
  const first = cancellation.signal("run-1");
  expect(cancellation.signal("run-1")).toBe(first);
  cancellation.release("run-1");
  cancellation.release("run-1");
  const second = cancellation.signal("run-1");
  expect(second).not.toBe(first);
  await cancellation.cancel("run-1");
  expect([first.aborted, second.aborted]).toEqual([false, true]);
});

test("5000 runs on one watch: each cancelled one aborts, no other one does, and they share a lease", async () => {
  const prefix = lab.newPrefix();
  const client = lab.client();
  const runner = cancellationOf(lab, prefix, { client });
  await runner.ready;
  const before = await watcherCounts(lab.endpoint);
  const leases = (await leasesOf(lab.endpoint)).length;
  const signals = Array.from({ length: 5_000 }, (_, number) => runner.signal(`run-${number}`));
  const canceller = cancellationOf(lab, prefix);
  await canceller.ready;
  for (let from = 0; from < 5_000; from += 500) {
    const some = Array.from({ length: 250 }, (_, number) => `run-${from + 2 * number}`);
    await Promise.all(some.map((runId) => canceller.cancel(runId, runId)));
  }
  await until(() => signals.filter(({ aborted }) => aborted).length === 2_500);
  expect(signals.every(({ aborted }, number) => aborted === (number % 2 === 0))).toBe(true);
  expect(signals[4_998]?.reason.reason).toBe("run-4998");
  expect((await watcherCounts(lab.endpoint)).watchers - before.watchers).toBeLessThanOrEqual(1);
  expect((await leasesOf(lab.endpoint)).length - leases).toBeLessThanOrEqual(1);
});

test("a cancellation reaches 1000 listeners in 3 processes, without a warning", async () => {
  const prefix = lab.newPrefix();
  const source = (listeners: number) => `
    import { Cancellation } from "etcd-recipes";
    const cancellation = new Cancellation(${JSON.stringify(prefix)});
    await cancellation.ready;
    const signal = cancellation.signal("run-1");
    let heard = 0;
    for (let i = 0; i < ${listeners}; i++) signal.addEventListener("abort", () => heard++);
    signal.addEventListener("abort", async () => {
      console.log(heard, signal.reason.message);
      await cancellation.close();
    });
    console.log("listening");`;
  const programs = [333, 333, 334].map((listeners) => runProgram(source(listeners), { ETCD_ENDPOINTS: lab.endpoint }));
  for (const program of programs) {
    lab.also(async () => {
      program.kill();
      await program.ended;
    });
  }
  await until(() => programs.every(({ lines }) => lines.includes("listening")), { timeoutMs: 20_000 });
  const began = performance.now();
  await cancellationOf(lab, prefix).cancel("run-1", "enough");
  await until(() => programs.every(({ lines }) => lines.length === 2));
  console.log(`reached 1000 listeners in 3 processes in ${(performance.now() - began).toFixed(0)} ms`);
  expect(programs.map(({ lines }) => lines[1])).toEqual([333, 333, 334].map((n) => `${n} run-1 was cancelled: enough`));
  for (const program of programs) expect(await program.ended).toBe(0);
  expect(programs.flatMap(({ errors }) => errors)).toEqual([]);
});

test("after close() nothing aborts, nothing is emitted, and calls say that it is closed", async () => {
  const prefix = lab.newPrefix();
  const cancellation = cancellationOf(lab, prefix);
  const recorder = new Recorder(cancellation, cancellationEvents);
  const signal = cancellation.signal("run-1");
  await cancellation.ready;
  const unready = cancellationOf(lab, prefix);
  await Promise.all([cancellation.close(), cancellation.close(), cancellation[Symbol.asyncDispose](), unready.close()]);
  await expect(unready.ready).rejects.toBeInstanceOf(ClientClosedError);
  const other = cancellationOf(lab, prefix);
  await other.cancel("run-1");
  await other.ready;
  expect(signal.aborted).toBe(false);
  expect(recorder.of("cancelled")).toEqual([]);
  expect(cancellation.status).toBe("closed");
  expect(() => cancellation.signal("run-1")).toThrow(ClientClosedError);
  await expect(cancellation.cancel("run-1")).rejects.toBeInstanceOf(ClientClosedError);
  cancellation.release("run-1");
});

test("one that a listener of a signal closes emits nothing more", async () => {
  const prefix = lab.newPrefix();
  const cancellation = cancellationOf(lab, prefix);
  const recorder = new Recorder(cancellation, cancellationEvents);
  const closed = new Promise<void>((resolve) => {
    cancellation.signal("run-1").addEventListener("abort", () => resolve(cancellation.close()));
  });
  await cancellation.ready;
  await lab.etcd.put(`${prefix}run-1`, "stop");
  await closed;
  expect(recorder.of("cancelled")).toEqual([]);
});

test("when its client is closed it fails, once, and says so", async () => {
  const client = new EtcdClient({ endpoints: lab.cluster.endpoints });
  const cancellation = cancellationOf(lab, lab.newPrefix(), { client });
  const recorder = new Recorder(cancellation, cancellationEvents);
  await cancellation.ready;
  await client.close();
  await until(() => cancellation.status === "failed");
  expect(recorder.names.slice(-2)).toEqual(["status", "failed"]);
  expect(() => cancellation.signal("run-1")).toThrow(ClientClosedError);
});

test("an aborted cancel rejects with its reason", async () => {
  const cancellation = cancellationOf(lab, lab.newPrefix());
  const reason = new Error("no longer wanted");
  await expect(cancellation.cancel("run-1", "", { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});
