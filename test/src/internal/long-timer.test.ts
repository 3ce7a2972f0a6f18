import { expect, test } from "vitest";
import { longTimer } from "../../../src/internal/long-timer.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const longestMs = 2 ** 31 - 1;

/** As setTimeout: what is too long fires at once. */
function starter(clock: FakeClock) {
  return (delayMs: number, callback: () => void) => clock.timer(delayMs > longestMs ? 1 : delayMs, callback);
}

test.each([longestMs, longestMs + 1, 2 * longestMs, 9e12])("a timer of %d ms fires then, and not before", (delayMs) => {
  const clock = new FakeClock();
  let fired = 0;
  longTimer(starter(clock), delayMs, () => fired++);
  clock.advance(delayMs - 1);
  expect(fired).toBe(0);
  clock.advance(1);
  expect(fired).toBe(1);
  expect(clock.pendingTimers).toBe(0);
});

test("it is cancelled in each of its parts", () => {
  for (const afterMs of [0, longestMs + 5]) {
    const clock = new FakeClock();
    let fired = 0;
    const timer = longTimer(starter(clock), 3 * longestMs, () => fired++);
    clock.advance(afterMs);
    timer.unref().cancel();
    clock.advance(4 * longestMs);
    expect({ fired, pending: clock.pendingTimers }).toEqual({ fired: 0, pending: 0 });
  }
});
