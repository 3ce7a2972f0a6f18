import { expect, test } from "vitest";
import { Backoff } from "../../../src/internal/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { seeded } from "../../support/seeded.ts";

test("a delay takes a quarter at most of the time that is left, but never less than 20 ms of it", () => {
  const backoff = new Backoff({ clock: new FakeClock(), random: () => 0.999 }, { initialMs: 1_000, maxMs: 8_000 });
  expect(backoff.nextMs({ leftMs: 100 })).toBe(25);
  expect(backoff.nextMs({ leftMs: 30 })).toBe(20);
  expect(backoff.nextMs({ leftMs: 2_000 })).toBe(500);
  expect(backoff.nextMs({ leftMs: 60_000 })).toBeGreaterThan(7_000);
});

test("when the time is over there is no hurry any more: the delays go on growing", () => {
  const backoff = new Backoff({ clock: new FakeClock(), random: () => 0.999 }, { initialMs: 100, maxMs: 800 });
  const delays = [0, -1, -1_000, 0].map((leftMs) => Math.round(backoff.nextMs({ leftMs })));
  expect(delays).toEqual([100, 200, 400, 799]);
});

test("what comes back before the deadline is found in time, whatever the delays are", () => {
  const random = seeded("backoff");
  for (let round = 0; round < 2_000; round++) {
    const clock = new FakeClock();
    const backoff = new Backoff({ clock, random: random.next }, { initialMs: 50, maxMs: 5_000 });
    const deadlineMs = 500 + random.next() * 30_000;
    const backMs = deadlineMs - 60 - random.next() * deadlineMs;
    while (clock.monotonicMs() < backMs) clock.advance(backoff.nextMs({ leftMs: deadlineMs - clock.monotonicMs() }));
    // The last failure was before it was back, and a quarter of the time left then is all that was lost.
    const latestMs = backMs + Math.max(20, (deadlineMs - backMs) / 3);
    expect(clock.monotonicMs(), `seed ${random.seed}, round ${round}`).toBeLessThanOrEqual(latestMs);
    expect(latestMs).toBeLessThan(deadlineMs);
  }
});
