import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { collectGarbage } from "../../support/collect-garbage.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { runProgram } from "../../support/run-program.ts";
import { until } from "../../support/until.ts";
import { cancellationOf } from "./lab.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("a signal that has only a listener is not collected and fires; a released one is collected", async () => {
  const cancellation = cancellationOf(lab, lab.newPrefix());
  await cancellation.ready;
  let heard = 0;
  const refs = ["kept", "released"].map((runId) => {
    const signal = cancellation.signal(runId);
    if (runId === "kept") signal.addEventListener("abort", () => heard++);
    return new WeakRef(signal);
  });
  cancellation.release("released");
  await until(() => {
    collectGarbage();
    return refs[1]?.deref() === undefined;
  });
  for (let round = 0; round < 5; round++) collectGarbage();
  await cancellation.cancel("kept");
  expect(heard).toBe(1);
});

test("a followed run with one listener takes less than 2 kB", async () => {
  const program = runProgram(
    `
    import { setFlagsFromString } from "node:v8";
    import { runInNewContext } from "node:vm";
    import { Cancellation } from "etcd-recipes";
    setFlagsFromString("--expose-gc");
    const gc = runInNewContext("gc");
    const cancellation = new Cancellation("/memory/");
    await cancellation.ready;
    const listener = () => {};
    const used = () => { gc(); gc(); return process.memoryUsage().heapUsed; };
    const before = used();
    for (let i = 0; i < 100_000; i++) cancellation.signal("run-" + i).addEventListener("abort", listener);
    console.log((used() - before) / 100_000);
    for (let i = 0; i < 100_000; i++) cancellation.release("run-" + i);
    await new Promise((resolve) => setImmediate(resolve));
    console.log((used() - before) / 100_000);
    await cancellation.close();`,
    { ETCD_ENDPOINTS: lab.endpoint },
  );
  lab.also(async () => {
    program.kill();
    await program.ended;
  });
  expect(await program.ended, program.errors.join("\n")).toBe(0);
  const [held, released] = program.lines.map(Number);
  console.log(`${held?.toFixed(0)} bytes for each followed run, ${released?.toFixed(0)} after its release`);
  expect(held).toBeLessThan(2_000);
  expect(released).toBeLessThan(100);
});
