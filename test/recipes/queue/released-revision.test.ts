import { expect, test } from "vitest";
import { ReleasedRevision } from "../../../recipes/queue/released-revision.ts";
import { FakeClock } from "../../support/fake-clock.ts";

test("a worker waits until it sees what it gave back, also when that takes seconds, but not for ever", async () => {
  const clock = new FakeClock();
  const released = new ReleasedRevision(clock);
  expect(released.waitMs(1)).toBe(0);
  released.add(10);
  await clock.pass(4_000);
  expect(released.waitMs(9)).toBe(1_000);
  expect(released.waitMs(10)).toBe(0);
  // An answer that was overtaken by another one.
  released.add(8);
  expect(released.waitMs(9)).toBe(5_000);
  await clock.pass(5_000);
  expect(released.waitMs(9)).toBe(0);
});
