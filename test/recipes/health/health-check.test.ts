import { expect, test } from "vitest";
import { checkHealth, type Health } from "../../../recipes/health/index.ts";
import { sleep } from "../../../src/internal/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const everyMs = 10_000;

/** When the checks of 35 s begin, and what each comes to. */
async function checksOf(clock: FakeClock, health: Health) {
  const begunMs: number[] = [];
  const results: boolean[] = [];
  const end = new AbortController();
  const check: Health = (signal) => {
    begunMs.push(clock.monotonicMs());
    return health(signal);
  };
  const checking = checkHealth({ check, everyMs, clock, onResult: (healthy) => results.push(healthy) }, end.signal);
  await clock.pass(35_000);
  end.abort();
  await checking;
  return { begunMs, results };
}

test("a check begins every few seconds, however long each takes", async () => {
  const clock = new FakeClock();
  const quick = await checksOf(clock, () => true);
  expect(quick).toEqual({ begunMs: [0, 10_000, 20_000, 30_000], results: [true, true, true, true] });

  const later = new FakeClock();
  const slow = await checksOf(later, async (signal) => {
    await sleep(later, 4_000, signal);
    return true;
  });
  expect(slow).toEqual({ begunMs: [0, 10_000, 20_000, 30_000], results: [true, true, true, true] });
});

test("one that hangs is over when the next begins", async () => {
  const aborted: boolean[] = [];
  const signals: AbortSignal[] = [];
  const { begunMs, results } = await checksOf(new FakeClock(), (signal) => {
    aborted.push(signals.at(-1)?.aborted ?? true);
    signals.push(signal);
    return new Promise(() => {});
  });
  expect(begunMs).toEqual([0, 10_000, 20_000, 30_000]);
  expect(results).toEqual([false, false, false]);
  expect(aborted).toEqual([true, true, true, true]);
});
