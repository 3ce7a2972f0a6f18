import { expect, test } from "vitest";
import { LatencyBook } from "../../../recipes/balancer/latency-book.ts";
import { Members } from "../../../recipes/balancer/members.ts";
import { ServerSlots } from "../../../recipes/balancer/server-slots.ts";
import { WeightedDraw } from "../../../recipes/balancer/weighted-draw.ts";
import { server, type TestServer } from "./servers.ts";

// Two hundred thousand servers come and go, a hundred at a time.
const rounds = 2_000;
const atOnce = 100;

function* generations(): Generator<TestServer[]> {
  for (let round = 0; round < rounds; round++) {
    yield Array.from({ length: atOnce }, (_, index) => server(`${round}-${index}`));
  }
}

test("slots of servers that are gone are taken back, never one with a call in flight", () => {
  const slots = new ServerSlots<TestServer, WeightedDraw>({
    what: "test",
    traits: {},
    makeIndex: () => new WeightedDraw(),
  });
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
  expect(slots.callsTo(slots.slotOf(busy))).toBe(2);
});

test("an array that changes in place takes slots back as well", () => {
  const slots = new ServerSlots<TestServer, WeightedDraw>({
    what: "test",
    traits: {},
    makeIndex: () => new WeightedDraw(),
  });
  const list = Array.from({ length: 100 }, (_, index) => server(`first-${index}`));
  slots.view(list);
  for (let change = 0; change < 100_000; change++) {
    list[change % 100] = server(`later-${change}`);
    slots.changed({ servers: list, positions: [change % 100] });
    slots.view(list);
  }
  expect(slots.size).toBeLessThan(250);
  expect(slots.view(list).index.size).toBe(100);
});

test("a slot is kept while its estimate says something, and the next server in it begins anew", () => {
  const book = new LatencyBook(1_000);
  let nowMs = 0;
  const slots = new ServerSlots<TestServer, WeightedDraw>({
    what: "test",
    traits: {},
    makeIndex: () => new WeightedDraw(),
    onJoin: (slot) => book.forget(slot),
    isRemembered: (slot) => book.knows(slot, nowMs),
  });
  const slow = server("slow");
  let most = 0;
  for (const list of generations()) {
    nowMs += 1_000;
    slots.view(list);
    for (const one of list) book.report(slots.slotOf(one), { latencyMs: 5 }, nowMs);
    if (nowMs === 1_000_000) book.report(slots.slotOf(slow), { latencyMs: 500, error: "no" }, nowMs);
    if (nowMs === 1_005_000)
      expect(book.estimateMs(slots.slotOf(slow), nowMs)).toBeCloseTo(Math.max(5, 500 * Math.exp(-5)), 1);
    most = Math.max(most, slots.size);
  }
  // What came in the last ten time constants, and as much again.
  expect(most).toBeLessThan(4_000);
  expect(book.estimateMs(slots.slotOf(server("other")), nowMs)).toBeCloseTo(5);
});

test("members that are gone are forgotten, also when the array is always another", () => {
  const members = new Members<TestServer>(({ key }) => key, String);
  let most = 0;
  for (const list of generations()) {
    const all = list.map((one) => members.memberOf(one, 0));
    members.sweep(() => [all]);
    most = Math.max(most, members.size);
  }
  expect(most).toBeLessThanOrEqual(3 * atOnce);
});
