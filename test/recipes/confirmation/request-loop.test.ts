import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { ConfirmationStore } from "../../../recipes/confirmation/confirmation-store.ts";
import { decideFor } from "../../../recipes/confirmation/decide.ts";
import { RequestLoop } from "../../../recipes/confirmation/request-loop.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

/** A requester of an hour on a clock that moves by hand, and no watch that could wake it. */
async function waiting({ seenRunning = true, alreadyForMs = 0 } = {}) {
  const clock = new FakeClock();
  const store = new ConfirmationStore(lab.etcd, lab.newPrefix(), 86_400);
  if (alreadyForMs > 0) {
    const requestedAt = clock.wallMs() - alreadyForMs;
    await store.open("a", 3_600, () => ({ requestedAt, deadline: requestedAt + 3_600_000 }), {});
  }
  const loop = new RequestLoop({
    id: "a",
    timeoutSeconds: 3_600,
    store,
    runtime: { clock, random: () => 0 },
    seenRunning: () => seenRunning,
    onWarning: () => {},
  });
  const ending = new AbortController();
  lab.also(async () => ending.abort(new Error("the test is over")));
  const result = loop.run(ending.signal);
  result.catch(() => {});
  await until(() => clock.pendingTimers === 1);
  return { clock, store, loop, result };
}

/** Lets the clock go on, a timer at a time, until the loop has nothing to do but wait. */
async function pass(clock: FakeClock, ms: number): Promise<void> {
  clock.advance(ms);
  await until(() => clock.pendingTimers === 1);
}

test("an hour passes: a time-out, though the lease in etcd still runs", async () => {
  const { clock, store, result } = await waiting();
  for (let minute = 0; minute < 59; minute++) await pass(clock, 60_000);
  expect((await store.read("a", {})).decision).toBeUndefined();
  expect((await store.read("a", {})).pending).toBeDefined();
  await pass(clock, 59_000);
  clock.advance(1_000);
  expect(await result).toEqual({ decision: "timeout" });
  expect((await store.read("a", {})).pending).toBeUndefined();
});

test("a request that runs for 59 minutes is picked up with the minute that it has left", async () => {
  const { clock, store, result } = await waiting({ alreadyForMs: 59 * 60_000 });
  await pass(clock, 30_000);
  await pass(clock, 29_000);
  expect((await store.read("a", {})).decision).toBeUndefined();
  clock.advance(1_000);
  expect(await result).toEqual({ decision: "timeout" });
});

test("a wall clock that is set moves no deadline", async () => {
  const { clock, store } = await waiting();
  clock.step(10 * 3_600_000);
  await pass(clock, 60_000);
  expect((await store.read("a", {})).decision).toBeUndefined();
});

test("a decision of which no event came is found half a minute later", async () => {
  const { clock, store, result } = await waiting();
  await decideFor(store, "a", { decision: "approved", by: "alice" }, {});
  clock.advance(30_000);
  expect(await result).toEqual({ decision: "approved", by: "alice" });
});

test("a pending key that is gone by hand is a time-out at once", async () => {
  const { store, loop, result } = await waiting({ seenRunning: false });
  await lab.etcd.delete(`${store.prefix}a/pending`);
  loop.wake();
  expect(await result).toEqual({ decision: "timeout" });
});

test("what was seen is only a hint: a loop that is woken for nothing decides nothing", async () => {
  const { clock, store, loop } = await waiting({ seenRunning: false });
  for (let round = 0; round < 5; round++) {
    loop.wake();
    await until(() => clock.pendingTimers === 1);
  }
  const { pending, decision } = await store.read("a", {});
  expect([pending === undefined, decision]).toEqual([false, undefined]);
});

test("a request that was deleted by hand is written again, with the same deadline", async () => {
  const { clock, store, loop } = await waiting({ seenRunning: false });
  await pass(clock, 60_000);
  const { request: before } = await store.read("a", {});
  await lab.etcd.delete(`${store.prefix}a/request`);
  await lab.etcd.delete(`${store.prefix}a/pending`);
  loop.wake();
  const after = await until(async () => (await store.read("a", {})).request);
  expect(after.text).toBe(before?.text);
  expect((await store.read("a", {})).decision).toBeUndefined();
});
