import { afterAll, beforeAll, expect, test } from "vitest";
import type { Child } from "../../support/child.ts";
import { runProgram } from "../../support/run-program.ts";
import { until } from "../../support/until.ts";
import { ElectionLab } from "../candidacy/election-lab.ts";

// Cloned machines, and programs that seed Math.random for their own purposes, have one random sequence in two
// processes.

let lab: ElectionLab;
beforeAll(async () => {
  lab = await ElectionLab.start();
});
afterAll(() => lab?.[Symbol.asyncDispose]());

test("two processes with one random sequence do not both hold the lock", async () => {
  const name = lab.newName();
  const program = () =>
    runProgram(
      `let state = 42;
       Math.random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
       const { Mutex } = await import("etcd-recipes");
       const mutex = new Mutex(${JSON.stringify(name)}, { ttlSeconds: 60 });
       const lock = await mutex.acquire();
       process.on("SIGTERM", () => mutex.close());
       console.log(lock.token);`,
      { ETCD_ENDPOINTS: lab.endpoint },
    );
  await using first = program();
  await using second = program();
  const holders = () => [first, second].filter(({ lines }) => lines.length > 0);
  await until(async () => (await lab.line(name)).length === 2 || holders().length === 2, {
    timeoutMs: 60_000,
    message: () => [...first.errors, ...second.errors].join("\n"),
  });
  const holder = await until(() => holders()[0]);
  expect(holders()).toEqual([holder]);
  holder.kill("SIGTERM");
  expect(await holder.ended).toBe(0);
  await until(() => holders().length === 2, { timeoutMs: 30_000 });
  const token = ({ lines }: Child) => Number(lines[0]);
  expect(token(first)).not.toBe(token(second));
});
