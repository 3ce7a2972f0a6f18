import { expect, test } from "vitest";
import { LeaseDeadline, sendTime } from "../../../src/lease/lease-deadline.ts";
import { FakeClock } from "../../support/fake-clock.ts";

function acknowledged(ttlSeconds: number): { clock: FakeClock; deadline: LeaseDeadline } {
  const clock = new FakeClock();
  const deadline = new LeaseDeadline(clock);
  deadline.acknowledged(sendTime(clock), ttlSeconds);
  return { clock, deadline };
}

test.each([
  [1, 950],
  [5, 4_750],
  [60, 59_500],
  [604_800, 604_799_500],
])(
  "a lease of %d s is held for %d ms: its TTL without a margin of a twentieth, at most half a second",
  (ttl, heldMs) => {
    const { clock, deadline } = acknowledged(ttl);
    expect(deadline.remainingMs()).toBe(heldMs);
    clock.stall(heldMs - 1);
    expect(deadline.hasPassed()).toBe(false);
    clock.stall(1);
    expect(deadline.hasPassed()).toBe(true);
    expect(deadline.remainingMs()).toBe(0);
  },
);

test("an answer counts from when its renewal was sent, not from when it came", () => {
  const { clock, deadline } = acknowledged(5);
  clock.stall(1_000);
  const sent = sendTime(clock);
  clock.stall(3_000);
  deadline.acknowledged(sent, 5);
  expect(deadline.remainingMs()).toBe(1_750);
});

test("a late answer to an early renewal never moves the deadline back", () => {
  const { clock, deadline } = acknowledged(5);
  const early = sendTime(clock);
  clock.stall(2_000);
  deadline.acknowledged(sendTime(clock), 5);
  deadline.acknowledged(early, 5);
  expect(deadline.remainingMs()).toBe(4_750);
});

test("nothing is left while the machine seems to have been suspended, until a renewal sent after that is acknowledged", () => {
  const { clock, deadline } = acknowledged(60);
  clock.stall(1_000);
  const before = sendTime(clock);
  clock.suspend(1_001);
  expect(deadline.suspended()).toBe(true);
  expect(deadline.remainingMs()).toBe(0);
  expect(deadline.hasPassed()).toBe(false);
  deadline.acknowledged(before, 60);
  expect(deadline.suspended()).toBe(true);
  deadline.acknowledged(sendTime(clock), 60);
  expect(deadline.suspended()).toBe(false);
  expect(deadline.remainingMs()).toBe(59_500);
});

test("a wall clock that is set back, or a little forward, changes nothing", () => {
  const { clock, deadline } = acknowledged(60);
  clock.suspend(999);
  expect(deadline.remainingMs()).toBe(59_500);
  clock.suspend(-3_600_000);
  expect(deadline.remainingMs()).toBe(59_500);
});

test("what is never renewed is over by whichever clock ran further", () => {
  const { clock, deadline } = acknowledged(60);
  clock.stall(10_000);
  expect(deadline.remainingByEitherClockMs()).toBe(49_500);
  clock.suspend(40_000);
  expect(deadline.remainingByEitherClockMs()).toBe(9_500);
  clock.suspend(-90_000);
  expect(deadline.remainingByEitherClockMs()).toBe(49_500);
});
