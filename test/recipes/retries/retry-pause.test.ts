import { expect, test } from "vitest";
import { RetryPause } from "../../../recipes/retries/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";

function setup() {
  const clock = new FakeClock();
  const pause = new RetryPause({ clock, random: () => 0.5 }, { initialMs: 100, maxMs: 1_000 });
  const went: string[] = [];
  const begin = (name: string) => pause.begin(() => went.push(name));
  return { clock, pause, went, begin };
}

test("one pause at a time: who asks for another one hears how long it is, and what it began with goes on once", () => {
  const { clock, pause, went, begin } = setup();
  const delayMs = begin("first");
  expect([delayMs > 0, pause.isOn, begin("second")]).toEqual([true, true, delayMs]);
  clock.advance(delayMs - 1);
  expect(went).toEqual([]);
  clock.advance(1);
  expect([went, pause.isOn, clock.pendingTimers]).toEqual([["first"], false, 0]);
});

test("a pause that is cut short goes on at once, one that is cancelled does not, and neither does so later", () => {
  const { clock, pause, went, begin } = setup();
  begin("cut");
  pause.cutShort();
  expect([went, pause.isOn]).toEqual([["cut"], false]);
  begin("cancelled");
  pause.cancel();
  // Without a pause there is nothing to go on with.
  pause.cutShort();
  clock.advance(10_000);
  expect([went, clock.pendingTimers]).toEqual([["cut"], 0]);
});

test("what goes on can begin the next pause, and pauses grow up to their limit until it has worked for a while", () => {
  const { clock, pause } = setup();
  const delays: number[] = [];
  const fail = (): void => {
    delays.push(pause.begin(fail));
  };
  fail();
  for (let i = 0; i < 11; i++) clock.advance(delays.at(-1) ?? 0);
  expect(delays).toHaveLength(12);
  expect(Math.max(...delays)).toBeLessThanOrEqual(1_000);
  expect(Math.max(...delays)).toBeGreaterThan(2 * (delays[0] ?? 0));
  pause.cancel();
  pause.succeeded();
  clock.advance(10_000);
  expect(pause.begin(() => {})).toBeLessThanOrEqual(2 * (delays[0] ?? 0));
});
