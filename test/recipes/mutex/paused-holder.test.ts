import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { runProgram } from "../../support/run-program.ts";
import { until } from "../../support/until.ts";
import { ElectionLab } from "../candidacy/election-lab.ts";

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
     // Before it says so: it may be stopped right after.
     let before = performance.now();
     console.log("holds " + lock.token);
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
