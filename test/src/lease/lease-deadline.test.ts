import { expect, test } from "vitest";
import { LeaseDeadline } from "../../../src/lease/lease-deadline.ts";
import { FakeClock } from "../../support/fake-clock.ts";

function acknowledged(ttlSeconds: number): { clock: FakeClock; deadline: LeaseDeadline } {
  const clock = new FakeClock();
  const deadline = new LeaseDeadline(clock);
  deadline.acknowledged(clock.elapsedMs(), ttlSeconds);
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
  const sent = clock.elapsedMs();
  clock.stall(3_000);
  deadline.acknowledged(sent, 5);
  expect(deadline.remainingMs()).toBe(1_750);
});

test("a late answer to an early renewal never moves the deadline back", () => {
  const { clock, deadline } = acknowledged(5);
  const early = clock.elapsedMs();
  clock.stall(2_000);
  deadline.acknowledged(clock.elapsedMs(), 5);
  deadline.acknowledged(early, 5);
  expect(deadline.remainingMs()).toBe(4_750);
});

test("what the machine slept through is taken off exactly, also for a renewal that was sent before and answered after", () => {
  const { clock, deadline } = acknowledged(60);
  clock.stall(1_000);
  const before = clock.elapsedMs();
  clock.suspend(20_000);
  expect(deadline.remainingMs()).toBe(38_500);
  deadline.acknowledged(before, 60);
  expect(deadline.remainingMs()).toBe(39_500);
  deadline.acknowledged(clock.elapsedMs(), 60);
  expect(deadline.remainingMs()).toBe(59_500);
});

test("a machine that slept for longer than the TTL has lost the lease when it wakes up", () => {
  const { clock, deadline } = acknowledged(60);
  clock.suspend(59_499);
  expect(deadline.hasPassed()).toBe(false);
  clock.suspend(1);
  expect(deadline.hasPassed()).toBe(true);
  expect(deadline.remainingMs()).toBe(0);
});

test.each([1_500, 2_000, 3_600_000, -3_600_000])("a wall clock that is set by %d ms changes nothing", (ms) => {
  const { clock, deadline } = acknowledged(60);
  clock.step(ms);
  expect(deadline.remainingMs()).toBe(59_500);
});
