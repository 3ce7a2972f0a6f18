import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { runProgram } from "../../support/run-program.ts";
import { until } from "../../support/until.ts";
import { ElectionLab } from "../candidacy/election-lab.ts";
import { canFakeWallClock, FakedWallClock } from "../candidacy/faked-wall-clock.ts";

let lab: ElectionLab;

beforeAll(async () => {
  lab = await ElectionLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("a holder that is stopped for twice its TTL knows at its first step, and its guarded write is refused", async () => {
  const name = lab.newName();
  await using holder = runProgram(
    `import { setImmediate as nextTurn } from "node:timers/promises";
     import { Mutex, putOp } from "etcd-recipes";
     const mutex = new Mutex(${JSON.stringify(name)}, { ttlSeconds: 2 });
     const lock = await mutex.acquire();
     console.log("holds " + lock.token);
     let before = performance.now();
     // Works without a pause, so that SIGSTOP finds it in the middle of a step.
     const step = () => {
       const end = performance.now() + 50;
       for (;;) {
         const now = performance.now();
         const stopped = now - before > 1_000;
         before = now;
         if (stopped || now > end) return stopped;
       }
     };
     while (!step()) await nextTurn();
     console.log("aborted " + lock.signal.aborted);
     await lock.txn([putOp(${JSON.stringify(`${name}-row`)}, "stale")]).catch((error) => console.log(error.code));
     await mutex.close();`,
    { ETCD_ENDPOINTS: lab.endpoint },
  );
  await until(() => holder.lines.length === 1, { timeoutMs: 30_000, message: () => holder.errors.join("\n") });
  const waiting = lab.mutex(name, { ttlSeconds: 2 }).acquire();
  await until(async () => (await lab.line(name)).length === 2);
  holder.kill("SIGSTOP");
  const lock = await waiting;
  expect(lock.token).toBeGreaterThan(Number(holder.lines[0]?.split(" ")[1]));
  await lock.txn([{ type: "put", key: Buffer.from(`${name}-row`), value: Buffer.from("fresh") }]);
  holder.kill("SIGCONT");
  expect(await holder.ended).toBe(0);
  expect(holder.lines.slice(1)).toEqual(["aborted true", "ETCD_FENCED_OUT"]);
  expect((await lab.etcd.get(`${name}-row`))?.text).toBe("fresh");
  await lock.release();
});

test.skipIf(!canFakeWallClock)(
  "when the wall clock runs ahead of the monotonic one, the lock is in doubt at once, until a renewal proves it",
  async () => {
    const name = lab.newName();
    await using clock = await FakedWallClock.create();
    await using holder = runProgram(
      `import { Mutex } from "etcd-recipes";
     const mutex = new Mutex(${JSON.stringify(name)}, { ttlSeconds: 10 });
     const lock = await mutex.acquire();
     const started = Date.now() - performance.now();
     console.log("holds");
     const jumped = () => Date.now() - performance.now() - started > 5_000;
     // Without a pause: no renewal comes between the jump and the look.
     while (!jumped()) {
       const end = performance.now() + 100;
       while (!jumped() && performance.now() < end);
       if (!jumped()) await new Promise(setImmediate);
     }
     console.log("aborted " + lock.signal.aborted);
     const waiting = setInterval(() => {
       if (lock.signal.aborted) return;
       clearInterval(waiting);
       console.log("proved");
       void mutex.close();
     }, 5);`,
      {
        ETCD_ENDPOINTS: lab.endpoint,
        ...clock.env,
      },
    );
    await until(() => holder.lines.includes("holds"), { message: () => holder.errors.join("\n") });
    await clock.set(3_600);
    expect(await holder.ended, holder.errors.join("\n")).toBe(0);
    expect(holder.lines).toEqual(["holds", "aborted true", "proved"]);
    expect(await lab.line(name)).toEqual([]);
  },
);
