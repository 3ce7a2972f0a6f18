import { InvalidOptionError } from "etcd-recipes";
import { expect, test } from "vitest";
import { readMasterOptions } from "../../../examples/engine/master/master-options.ts";
import { readSchedulerOptions } from "../../../examples/engine/scheduler/scheduler-options.ts";
import { runExample } from "../run-example.ts";

/** What it would submit has no etcd to go to. */
const env = { ETCD_ENDPOINTS: "http://127.0.0.1:1" };

test.each([
  ["--confirm 1.5", '--confirm must be a whole number, at least 1, not "1.5"'],
  ["--duration 0.5", '--duration must be a whole number, at least 0, not "0.5"'],
  ["--tasks 2.5", '--tasks must be a whole number, at least 1, not "2.5"'],
  ["--projects 1.5", '--projects must be a whole number, at least 1, not "1.5"'],
  ["--duration 90000000", "p/1: durationMs must be a whole number, from 0 to a day in milliseconds"],
  ["--confirm 90000000", "p/10: confirmWithinSeconds must be a whole number of seconds, from 1 to 86400000"],
])("submit refuses %s, which would be a dead letter, and submits nothing", async (flags, message) => {
  using submit = runExample("engine/tasks/submit", { args: ["--pipeline", "p", ...flags.split(" ")], env });

  expect(await submit.ended).toEqual({ code: 2, signal: null });
  expect(submit.output).toContain(message);
});

test("a time that no timer can wait is refused", () => {
  const read = () => readSchedulerOptions(["--id", "s1", "--task-timeout", "3000000"]);
  expect(read).toThrow('--task-timeout must be a number, from 1 to 2147483, not "3000000"');
});

test("what is counted is a whole number", () => {
  for (const flag of ["--port", "--concurrency", "--max-failures", "--attempts"]) {
    const read = () => readSchedulerOptions(["--id", "s1", flag, "1.5"]);
    expect(read, flag).toThrow(InvalidOptionError);
    expect(read, flag).toThrow(`${flag} must be a whole number`);
  }
  expect(() => readMasterOptions(["--id", "m1", "--port", "1.5"])).toThrow("--port must be a whole number");
  expect(readSchedulerOptions(["--id", "s1", "--ttl", "3", "--attempts", "2"])).toMatchObject({
    renewEverySeconds: 1.5,
    attempts: 2,
  });
});
