import { expect, test } from "vitest";
import { prefix } from "../../../recipes/index.ts";
import { until } from "../../support/until.ts";
import { runExample } from "../run-example.ts";
import { EngineLab, startLimitMs } from "./engine-lab.ts";

const quick = { pipelineId: "p", project: "proj", durationMs: 20 };

test("a leader that was paused for longer than its lease comes back, and its guarded write is refused", async () => {
  await using lab = await EngineLab.start();
  const master = lab.master("m1");
  const first = lab.scheduler("s1");
  await until(() => first.logged("elected").length, { timeoutMs: startLimitMs });
  const second = lab.scheduler("s2");
  await lab.submit({ ...quick, id: "a", durationMs: 1_000 });
  await until(() => master.logged("task-started", "a").length, { message: () => lab.story });

  // The master answers it meanwhile; that it was done is what it would write, too.
  first.signal("SIGSTOP");
  const progress = await lab.settled(["a"]);
  const [before] = first.logged("elected");
  const [after] = second.logged("elected");
  expect(progress.get("a")).toMatchObject({ state: "done", token: after?.token });
  const written = await lab.etcd.get("/publictest/progress/a");
  first.signal("SIGCONT");

  await until(() => first.logged("refused").length, { message: () => lab.story });
  const [refused] = first.logged("refused");
  expect(refused).toMatchObject({ token: before?.token });
  // It stands in line again, and nothing that it did since then is in etcd.
  await until(async () => (await lab.etcd.range(prefix("/leader/"))).count === 2, { timeoutMs: startLimitMs });
  expect((await lab.etcd.get("/publictest/progress/a"))?.modRevision).toBe(written?.modRevision);
  expect(JSON.parse((await lab.etcd.get("/publictest/scheduler"))?.text ?? "")).toMatchObject({ token: after?.token });
  expect(first.logged("task-done", "a")).toEqual([]);
  expect(await lab.effects()).toEqual(new Map([["a", 1]]));
});

test("SIGTERM: a leader finishes what is with masters, resigns and exits with 0; the next one goes on", async () => {
  await using lab = await EngineLab.start();
  const master = lab.master("m1");
  const first = lab.scheduler("s1", "--concurrency", "1");
  await until(() => first.logged("elected").length, { timeoutMs: startLimitMs });
  const second = lab.scheduler("s2");
  await lab.submit({ ...quick, id: "a", durationMs: 1_000 }, { ...quick, id: "b" });
  await until(() => master.logged("task-started", "a").length, { message: () => lab.story });

  first.signal("SIGTERM");

  expect(await first.ended).toEqual({ code: 0, signal: null });
  expect(first.logged("task-done", "a")).toHaveLength(1);
  expect(first.logged("resigned")).toHaveLength(1);
  const progress = await lab.settled(["a", "b"]);
  // It says so after it has written so.
  await until(() => second.logged("task-done", "b").length, { message: () => lab.story });
  expect(second.logged("task-done", "b")).toHaveLength(1);
  expect(progress.get("a")?.token).toBeLessThan(progress.get("b")?.token as number);
});

test("SIGTERM: a follower leaves the line at once", async () => {
  await using lab = await EngineLab.start();
  const first = lab.scheduler("s1");
  await until(() => first.logged("elected").length, { timeoutMs: startLimitMs });
  const second = lab.scheduler("s2", "--drain", "600");
  await until(async () => (await lab.etcd.range(prefix("/leader/"))).count === 2, { timeoutMs: startLimitMs });

  second.signal("SIGTERM");

  expect(await second.ended).toEqual({ code: 0, signal: null });
  expect((await lab.etcd.range(prefix("/leader/"))).kvs.map(({ text }) => text)).toEqual(["s1"]);
});

test("a task with a master that is frozen is given to another one", async () => {
  await using lab = await EngineLab.start();
  const frozen = lab.master("m1");
  lab.scheduler("s1");
  await lab.submit({ ...quick, id: "a", durationMs: 1_000 });
  await until(() => frozen.logged("task-started", "a").length, { message: () => lab.story });

  frozen.signal("SIGSTOP");
  lab.master("m2");

  const progress = await lab.settled(["a"]);
  expect(progress.get("a")).toMatchObject({ state: "done", by: "m2", failures: 0 });
});

test.concurrent.each([
  [["--id", "s1", "--balancer", "round-robbin"], /balancer must be .*did you mean "round-robin"\?/],
  [["--id", "s1", "--concurrency", "none"], /--concurrency.* must be a number, at least 1, not "none"/],
  [["--id", "s1", "--renew", "50"], /renewEverySeconds must be at most half of ttlSeconds/],
  [["--id", "s1", "--redis", "localhost"], /--redis.* must be an address such as redis:/],
  [["--id", "s 1"], /--id.* must be given/],
  [["--idd", "s1"], /Unknown option '--idd'/],
])("a bad option, %j, is named, and the exit code is 2", async (args, message) => {
  // It must not even ask etcd.
  using scheduler = runExample("engine/scheduler/scheduler", { args, env: { ETCD_ENDPOINTS: "http://127.0.0.1:1" } });

  expect(await scheduler.ended, scheduler.output).toEqual({ code: 2, signal: null });
  expect(scheduler.output).toMatch(message);
  expect(scheduler.output.trim().split("\n")).toHaveLength(1);
});
