import { expect, test } from "vitest";
import { LatencyBook } from "../../../recipes/balancer/latency-book.ts";
import { Members } from "../../../recipes/balancer/members.ts";
import { ServerSlots } from "../../../recipes/balancer/server-slots.ts";
import { server, type TestServer } from "./servers.ts";

// A million servers come and go, a hundred at a time.
const rounds = 10_000;
const atOnce = 100;

function* generations(): Generator<TestServer[]> {
  for (let round = 0; round < rounds; round++) {
    yield Array.from({ length: atOnce }, (_, index) => server(`${round}-${index}`));
  }
}

test("slots of servers that are gone are taken back, never one with a call in flight", () => {
  const slots = new ServerSlots<TestServer>("test", {});
  const busy = server("busy");
  slots.started(busy);
  slots.started(busy);
  let most = 0;
  for (const list of generations()) {
    slots.changed();
    slots.view(list);
    const [first] = list as [TestServer];
    slots.started(first);
    slots.ended(first);
    most = Math.max(most, slots.size);
  }
  expect(most).toBeLessThan(1_500);
  expect(slots.capacity).toBeLessThan(4_096);
  const { slots: own } = slots.view([busy]);
  expect(slots.inFlight[own[0] as number]).toBe(2);
});

test("estimates that say nothing any more are dropped, never one with a call in flight", () => {
  const book = new LatencyBook(1_000);
  book.started("busy", 0);
  book.started("busy", 0);
  let most = 0;
  let nowMs = 0;
  for (const list of generations()) {
    nowMs += 1_000;
    for (const { key } of list) {
      book.started(key, nowMs);
      book.ended(key);
      book.report(key, { latencyMs: 5 }, nowMs);
    }
    most = Math.max(most, book.size);
  }
  // What came in the last ten time constants, and as much again.
  expect(most).toBeLessThan(4_000);
  expect(book.costOf("busy", nowMs)).toBeCloseTo(15);
});

test("members that are gone are forgotten, in an array that changes in place and in one that is always another", () => {
  const inPlace = new Members<TestServer>(({ key }) => key, String);
  const another = new Members<TestServer>(({ key }) => key, String);
  let before = inPlace.listOf([], 0);
  let most = 0;
  for (const list of generations()) {
    const now = inPlace.listOf(list, 0, before);
    inPlace.forgetGone(before, now);
    before = now;
    const others = another.listOf(list, 0);
    another.sweep(() => [others]);
    most = Math.max(most, inPlace.size, another.size);
  }
  expect(inPlace.size).toBe(atOnce);
  expect(most).toBeLessThanOrEqual(3 * atOnce);
});
