import { expect, test } from "vitest";
import { IdLanes } from "../../../recipes/lanes/index.ts";
import { type Deferred, deferred } from "../../../src/internal/index.ts";
import { FakeClock, settled } from "../../support/fake-clock.ts";

/** Lanes whose tasks end when the test says so. */
function lab({ concurrency = 16 } = {}) {
  const clock = new FakeClock();
  const running = new Map<string, Deferred<void>>();
  const begun: string[] = [];
  const failed: string[] = [];
  const lanes = new IdLanes<string>({
    concurrency,
    runtime: { clock, random: () => 0.999 },
    run: (id, task) => {
      begun.push(`${id}:${task}`);
      const done = deferred<void>();
      running.set(id, done);
      return done.promise;
    },
    merge: (tasks) => tasks.slice(-1),
    onWarning: (id, task, error) => failed.push(`${id}:${task} ${error.message}`),
  });
  const end = async (id: string, error?: string) => {
    const done = running.get(id);
    running.delete(id);
    if (error) done?.reject(new Error(error));
    else done?.resolve();
    await settled();
  };
  return { clock, lanes, begun, failed, running, end };
}

test("the tasks of one id run one after the other, in order; those of others at the same time", async () => {
  const { lanes, begun, end } = lab();
  for (const task of ["1", "2", "3"]) lanes.add("a", task);
  lanes.add("b", "1");
  await settled();
  expect(begun).toEqual(["a:1", "b:1"]);
  await end("a");
  await end("a");
  expect(begun).toEqual(["a:1", "b:1", "a:2", "a:3"]);
  await end("a");
  await end("b");
  expect(lanes.has("a")).toBe(false);
});

test("no more run at a time than allowed, and none is forgotten", async () => {
  const { lanes, begun, running, end } = lab({ concurrency: 2 });
  for (const id of ["a", "b", "c", "d"]) lanes.add(id, "1");
  await settled();
  expect(running.size).toBe(2);
  await end("b");
  expect(begun).toEqual(["a:1", "b:1", "c:1"]);
  await end("a");
  expect(begun).toEqual(["a:1", "b:1", "c:1", "d:1"]);
  expect(running.size).toBe(2);
});

test("a task that fails runs again before the next of its id, after a delay that grows, and others go on", async () => {
  const { clock, lanes, begun, failed, end } = lab({ concurrency: 1 });
  lanes.add("a", "1");
  lanes.add("b", "1");
  await settled();
  await end("a", "no");
  expect(failed).toEqual(["a:1 no"]);
  expect(begun).toEqual(["a:1", "b:1"]);
  await end("b");
  await clock.pass(199);
  expect(begun).toHaveLength(2);
  await clock.pass(2);
  await settled();
  expect(begun).toEqual(["a:1", "b:1", "a:1"]);
  await end("a", "again");
  await clock.pass(390);
  expect(begun).toHaveLength(3);
  await clock.pass(20);
  await settled();
  expect(begun).toHaveLength(4);
  await end("a");
  expect(lanes.has("a")).toBe(false);
  expect(clock.pendingTimers).toBe(0);
});

test("behind a failure the tasks of an id are merged, so they cannot pile up", async () => {
  const { clock, lanes, begun, end } = lab();
  lanes.add("a", "1");
  await settled();
  await end("a", "no");
  for (let task = 2; task <= 1_000; task++) lanes.add("a", String(task));
  await clock.pass(1_000);
  await settled();
  expect(begun).toEqual(["a:1", "a:1000"]);
});

test("a hold takes out what waits, waits for what runs, and lets nothing run before its release", async () => {
  const { clock, lanes, begun, end } = lab();
  lanes.add("a", "1");
  lanes.add("a", "2");
  await settled();
  let held = false;
  const holding = lanes.hold("a").then((hold) => {
    held = true;
    return hold;
  });
  await settled();
  expect(held).toBe(false);
  await end("a", "it failed while it was held");
  const hold = await holding;
  expect([...hold.dropped]).toEqual(["1", "2"]);
  lanes.add("a", "3");
  await clock.pass(100_000);
  expect(begun).toEqual(["a:1"]);
  hold.release();
  await settled();
  expect(begun).toEqual(["a:1", "a:3"]);
  await end("a");
  expect(lanes.has("a")).toBe(false);
});

test("a hold cancels a retry that waits for its time", async () => {
  const { clock, lanes, begun, end } = lab();
  lanes.add("a", "1");
  await settled();
  await end("a", "no");
  const hold = await lanes.hold("a");
  expect([...hold.dropped]).toEqual(["1"]);
  hold.release();
  await clock.pass(100_000);
  expect(begun).toEqual(["a:1"]);
  expect(lanes.has("a")).toBe(false);
  expect(clock.pendingTimers).toBe(0);
});

test("when too much waits, room() waits; what waits behind a failure does not count", async () => {
  const { lanes, end, running } = lab({ concurrency: 1 });
  lanes.add("failing", "1");
  await settled();
  await end("failing", "no");
  for (let id = 0; id < 10_001; id++) lanes.add(`id${id}`, "1");
  let room = false;
  const waiting = lanes.room().then(() => {
    room = true;
  });
  await settled();
  expect(room).toBe(false);
  for (let i = 0; i < 3; i++) await end([...running.keys()][0] as string);
  await waiting;
  expect(room).toBe(true);
});

test("the end cancels what waits, frees who waits for room, and says when nothing runs any more", async () => {
  const { clock, lanes, begun, end } = lab({ concurrency: 1 });
  lanes.add("a", "1");
  for (let id = 0; id < 10_001; id++) lanes.add(`id${id}`, "1");
  const room = lanes.room();
  let ended = false;
  const ending = lanes.end().then(() => {
    ended = true;
  });
  await room;
  expect(ended).toBe(false);
  await end("a");
  await ending;
  lanes.add("b", "1");
  await clock.pass(1_000);
  expect(begun).toEqual(["a:1"]);
});
