import { expect, test } from "vitest";
import { Admission } from "../../../src/internal/admission.ts";
import { deadlineSignal } from "../../../src/internal/deadline-signal.ts";
import { Wake } from "../../../src/internal/wake.ts";
import { FakeClock } from "../../support/fake-clock.ts";

// The signal of a lease compares the clocks when it is read: it can be aborted at the second look, with nothing
// between.

/** Not aborted when it is read for the first time, and aborted from then on. */
function abortedAtSecondLook(): AbortSignal {
  const controller = new AbortController();
  let looks = 0;
  return deadlineSignal(controller, () => {
    if (++looks > 1) controller.abort(new Error("its time is over"));
  });
}

test("a call whose signal is aborted while it takes its place in line leaves it", async () => {
  const clock = new FakeClock();
  const admission = new Admission(clock);
  const ends: (() => void)[] = [];
  const busy = Array.from({ length: 64 }, () =>
    admission.run(() => new Promise<void>((resolve) => ends.push(resolve))),
  );
  const patience = { ms: 1_000, error: () => new Error("silent") };
  const waiting = admission.run(async () => "begun", { signal: abortedAtSecondLook(), patience });
  await expect(waiting).rejects.toThrow("its time is over");
  expect(clock.pendingTimers).toBe(0);
  // Its place is nothing to those behind it.
  const next = admission.run(async () => "next");
  for (const end of ends) end();
  expect(await next).toBe("next");
  await Promise.all(busy);
  expect(admission.underWay).toBe(0);
});

test("a loop whose signal is aborted while it begins to wait goes on, and leaves no timer", async () => {
  const clock = new FakeClock();
  await new Wake().wait(clock, 1_000, abortedAtSecondLook());
  expect(clock.pendingTimers).toBe(0);
});
