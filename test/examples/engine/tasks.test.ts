import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cancellation, Confirmation } from "../../../recipes/index.ts";
import { canStartRedis } from "../../support/redis.ts";
import { until } from "../../support/until.ts";
import { EngineLab, startLimitMs } from "./engine-lab.ts";
import type { EngineProgram } from "./engine-program.ts";

const quick = { pipelineId: "p", project: "proj", durationMs: 20 };
const endless = { ...quick, durationMs: 3_600_000 };

const sources = canStartRedis ? (["etcd", "redis"] as const) : (["etcd"] as const);

// One after the other, on the same programs: a process takes its time to start.
describe.each(sources)("with tasks from %s", (source) => {
  let lab: EngineLab;
  let scheduler: EngineProgram;

  beforeAll(async () => {
    lab = await EngineLab.start({ redis: source === "redis" ? "running" : undefined });
    lab.master("m1");
    lab.master("m2");
    scheduler = lab.scheduler("s1", "--concurrency", "1", "--max-failures", "3");
    await until(() => scheduler.logged("elected").length, { timeoutMs: startLimitMs });
  });
  afterAll(() => lab[Symbol.asyncDispose]());

  const effectsOf = async (prefix: string) =>
    new Map([...(await lab.effects())].filter(([id]) => id.startsWith(prefix)));

  test("every task is done, and acknowledged after that", async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `all/${index}`);

    await lab.submit(...ids.map((id) => ({ ...quick, id })));

    const progress = await lab.settled(ids);
    expect(new Set(ids.map((id) => progress.get(id)?.state))).toEqual(new Set(["done"]));
    expect(await effectsOf("all/")).toEqual(new Map(ids.map((id) => [id, 1])));
  });

  test("a malformed task goes to the dead letters at once, with the reason, and holds up no other", async () => {
    const wrong = JSON.stringify({ ...quick, id: "wrong", durationMs: "long" });

    await lab.submitText("{not JSON", wrong, JSON.stringify({ ...quick, id: "right" }));

    await lab.settled(["right"]);
    const letters = await lab.deadLetters();
    expect(letters.sort((a, b) => a.reason.localeCompare(b.reason))).toEqual([
      { value: wrong, reason: "durationMs must be a whole number, from 0 to a day in milliseconds" },
      { value: "{not JSON", reason: "not JSON" },
    ]);
    expect(scheduler.logged("malformed")).toHaveLength(2);
  });

  test("a task that fails is tried again, then it is a dead letter with its reason", async () => {
    const task = { ...quick, id: "bad", failsWith: "does not compile" };

    await lab.submit(task);

    const progress = await lab.settled(["bad"]);
    expect(progress.get("bad")).toMatchObject({ state: "dead", failures: 3, reason: "does not compile" });
    expect(await lab.deadLetters()).toContainEqual({ value: JSON.stringify(task), reason: "does not compile" });
    expect(scheduler.logged("task-retrying", "bad")).toHaveLength(2);
    expect(await effectsOf("bad")).toEqual(new Map());
  });

  test("a pipeline that is cancelled stops the task that runs, and what waits is never begun", async () => {
    await lab.submit(
      { ...endless, id: "cancel/1" },
      { ...endless, id: "cancel/2" },
      { ...quick, pipelineId: "other", id: "cancel/3" },
    );
    const begun = () => lab.programs.flatMap((program) => program.logged("task-started").map(({ task }) => task));
    await until(() => begun().includes("cancel/1"), { message: () => lab.story });
    await using cancellation = new Cancellation("/pipeline/cancel/", { client: lab.etcd });

    await cancellation.cancel("p", "superseded");

    const progress = await lab.settled(["cancel/1", "cancel/2", "cancel/3"]);
    expect(progress.get("cancel/1")).toMatchObject({
      state: "cancelled",
      reason: expect.stringContaining("superseded"),
    });
    expect(progress.get("cancel/2")).toMatchObject({ state: "cancelled" });
    expect(await effectsOf("cancel/")).toEqual(new Map([["cancel/3", 1]]));
    await until(() => lab.programs.some((program) => program.logged("task-stopped", "cancel/1").length > 0));
    expect(begun()).not.toContain("cancel/2");
  });

  test("a task waits for its confirmation without holding up others: approved, rejected or out of time", async () => {
    const ask = { ...quick, pipelineId: "ask" };
    await using confirmation = new Confirmation("/pipeline/confirm/", { client: lab.etcd });
    await lab.submit(
      { ...ask, id: "ask/yes", confirmWithinSeconds: 60 },
      { ...ask, id: "ask/no", confirmWithinSeconds: 60 },
      { ...ask, id: "ask/late", confirmWithinSeconds: 1 },
      { ...ask, id: "ask/unanswered" },
    );
    await until(async () => (await lab.stateOf("ask/unanswered")) === "done", { message: () => lab.story });

    await confirmation.approve("ask/yes", "alice");
    await confirmation.reject("ask/no", "bob", "not today");

    const progress = await lab.settled(["ask/yes", "ask/no", "ask/late"]);
    expect(progress.get("ask/yes")).toMatchObject({ state: "done" });
    expect(progress.get("ask/no")).toMatchObject({ state: "cancelled", reason: "rejected: not today" });
    expect(progress.get("ask/late")).toMatchObject({ state: "cancelled", reason: "timeout" });
    expect([...(await effectsOf("ask/")).keys()].sort()).toEqual(["ask/unanswered", "ask/yes"]);
  });

  test("the tasks of a leader that died are taken by the next one, and a confirmation goes on where it was", async () => {
    const next = lab.scheduler("s2");
    const task = { ...quick, pipelineId: "next" };
    await using confirmation = new Confirmation("/pipeline/confirm/", { client: lab.etcd });
    await lab.submit(
      { ...task, id: "next/asked", confirmWithinSeconds: 60 },
      { ...task, id: "next/running", durationMs: 2_000 },
    );
    const isRunning = async () => (await lab.stateOf("next/running")) === "running";
    await until(async () => (await confirmation.pending()).length === 1 && (await isRunning()));

    await scheduler.kill();
    await until(() => next.logged("task-confirming", "next/asked").length, { message: () => lab.story });
    await confirmation.approve("next/asked", "alice");

    const progress = await lab.settled(["next/running", "next/asked"]);
    expect(progress.get("next/running")).toMatchObject({ state: "done" });
    expect(progress.get("next/asked")).toMatchObject({ state: "done" });
    // The master stopped it when no call waited for it any more.
    expect(await effectsOf("next/")).toEqual(
      new Map([
        ["next/asked", 1],
        ["next/running", 1],
      ]),
    );
  });
});
