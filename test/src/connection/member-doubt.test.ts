import { expect, test } from "vitest";
import { MemberDoubt } from "../../../src/connection/endpoints/member-doubt.ts";
import { FakeClock } from "../../support/fake-clock.ts";

function setUp() {
  const clock = new FakeClock();
  // Half of each ceiling: 250, 500, 1000, 2000, 2500 ms.
  return { clock, doubt: new MemberDoubt({ clock, random: () => 0.5 }) };
}

test("a member is not left at its first failure, nor within the first moment", () => {
  const { clock, doubt } = setUp();
  expect(doubt.failed()).toBeUndefined();
  clock.advance(249);
  expect(doubt.failed()).toBeUndefined();
  clock.advance(1);
  expect(doubt.failed()).toBe(0);
});

test("the next members are left at longer and longer intervals", () => {
  const { clock, doubt } = setUp();
  const left: number[] = [];
  for (let count = 0; count < 2_000; count++) {
    if (doubt.failed() !== undefined) left.push(clock.monotonicMs());
    clock.advance(10);
  }
  const pauses = left.map((atMs, index) => atMs - (left[index - 1] ?? 0));
  expect(pauses.slice(0, 6)).toEqual([250, 500, 1_000, 2_000, 2_500, 2_500]);
});

test("failures with half a minute between them are not one", () => {
  const { clock, doubt } = setUp();
  for (let count = 0; count < 10; count++) {
    expect(doubt.failed()).toBeUndefined();
    clock.advance(30_001);
  }
});

test("what failed seldom is left, too", () => {
  const { clock, doubt } = setUp();
  doubt.failed();
  clock.advance(20_000);
  expect(doubt.failed()).toBe(0);
});

test("after it has worked for a while the intervals are short again", () => {
  const { clock, doubt } = setUp();
  for (let count = 0; count < 2_000; count++) {
    doubt.failed();
    clock.advance(10);
  }
  doubt.worked();
  clock.advance(40_000);
  doubt.failed();
  clock.advance(250);
  expect(doubt.failed()).toBe(60_000);
});
