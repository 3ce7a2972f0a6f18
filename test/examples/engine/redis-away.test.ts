import { describe, expect, test } from "vitest";
import { canStartRedis } from "../../support/redis.ts";
import { until } from "../../support/until.ts";
import { EngineLab, startLimitMs } from "./engine-lab.ts";

const quick = { pipelineId: "p", project: "proj", durationMs: 20 };

describe.runIf(canStartRedis)("Redis", () => {
  test("away at the start: the leader says so once, waits, and begins when it is there", async () => {
    await using lab = await EngineLab.start({ redis: "stopped" });
    lab.master("m1");
    const scheduler = lab.scheduler("s1");
    await until(() => scheduler.logged("redis-away").length, { timeoutMs: startLimitMs, message: () => lab.story });

    await lab.redis.start();
    await lab.submit({ ...quick, id: "a" });

    await lab.settled(["a"]);
    expect(scheduler.logged("redis-away")).toHaveLength(1);
    await until(() => scheduler.logged("redis-back").length === 1, { message: () => lab.story });
  });

  test("killed midway: what was done meanwhile is acknowledged later, and nothing is lost", async () => {
    await using lab = await EngineLab.start({ redis: "running" });
    lab.master("m1");
    const scheduler = lab.scheduler("s1");
    const ids = Array.from({ length: 6 }, (_, index) => `p/${index}`);
    await lab.submit(...ids.map((id) => ({ ...quick, durationMs: 1_000, id })));
    // All are taken, so it waits for more.
    await until(async () => (await lab.progress()).size === 6, { timeoutMs: startLimitMs, message: () => lab.story });

    await lab.redis.kill();
    await until(() => scheduler.logged("redis-away").length, { message: () => lab.story });
    await until(async () => (await lab.effects()).size === 6, { message: () => lab.story });
    await lab.redis.start();

    await lab.settled(ids);
    expect(await lab.effects()).toEqual(new Map(ids.map((id) => [id, 1])));
    await until(() => scheduler.logged("redis-back").length === 1, { message: () => lab.story });
    // It is the same leader that goes on.
    await lab.submit({ ...quick, id: "after" });
    await lab.settled(["after"]);
    expect(scheduler.complaints).toBe("");
  });

  test("frozen: it is noticed, and goes on when Redis does", async () => {
    await using lab = await EngineLab.start({ redis: "running" });
    lab.master("m1");
    const scheduler = lab.scheduler("s1");
    await lab.submit({ ...quick, id: "before" });
    await lab.settled(["before"], startLimitMs);

    lab.redis.pause();
    await until(() => scheduler.logged("redis-away").length, { timeoutMs: 20_000, message: () => lab.story });
    lab.redis.resume();
    await lab.submit({ ...quick, id: "after" });

    await lab.settled(["after"]);
    await until(() => scheduler.logged("redis-back").length === 1, { message: () => lab.story });
  });

  test("a leader that is stopped while Redis is away leaves in order", async () => {
    await using lab = await EngineLab.start({ redis: "running" });
    lab.master("m1");
    const scheduler = lab.scheduler("s1", "--drain", "1");
    await lab.submit({ ...quick, id: "a", durationMs: 1_000 });
    await until(async () => (await lab.stateOf("a")) === "running", {
      timeoutMs: startLimitMs,
      message: () => lab.story,
    });
    await lab.redis.kill();
    // Done, and not acknowledged.
    await until(async () => (await lab.stateOf("a")) === "done", { message: () => lab.story });

    scheduler.signal("SIGTERM");

    expect(await scheduler.ended, lab.story).toEqual({ code: 0, signal: null });
    expect(scheduler.complaints).toBe("");
  });
});
