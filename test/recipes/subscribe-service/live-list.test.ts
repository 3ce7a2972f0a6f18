import { expect, test } from "vitest";
import type { ServiceInstance } from "../../../recipes/index.ts";
import type { ListChange } from "../../../recipes/subscribe-service/list-change.ts";
import { LiveList } from "../../../recipes/subscribe-service/live-list.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { seeded } from "../../support/seeded.ts";

const instance = (id: string, fields: Partial<ServiceInstance> = {}) =>
  ({ key: `/svc/${id}`, id, metadata: {}, weight: 1, createRevision: 1, ...fields }) as ServiceInstance;
const put = (one: ServiceInstance): ListChange<unknown> => ({ type: "put", instance: one });
const leaving = (isLeaving: boolean): ListChange<unknown> => ({ type: "leaving", key: "/svc/a", leaving: isLeaving });
const ejected = { untilMs: 1, failures: 1 } as unknown as NonNullable<ServiceInstance["ejected"]>;

function slowList(name: string) {
  const random = seeded(name);
  const clock = new FakeClock();
  const pick = { strategy: "round-robin", slowStartMs: 1_000, changeDelayMs: 0, changeMaxDelayMs: 0 };
  const list = new LiveList({ clock, random: random.next }, pick as never);
  const countOf = (id: string, picks: number) => {
    let count = 0;
    for (let at = 0; at < picks; at++) if (list.balancer.pick(list.table.pickable(), {}).id === id) count++;
    return count;
  };
  return { list, clock, random, countOf };
}

test.each([
  ["drained", put(instance("a", { draining: true })), put(instance("a"))],
  ["was ejected", put(instance("a", { ejected })), put(instance("a"))],
  ["was gone and is held", leaving(true), leaving(false)],
])("a server that can be picked again after it %s has a slow start", (_, away, back) => {
  const { list, clock, random, countOf } = slowList("slow start of one that is back");
  const countOfA = () => countOf("a", 400);
  list.take({ changes: ["a", "b", "c", "d"].map((id) => put(instance(id))), first: true });
  expect(countOfA()).toBe(100);
  list.take({ changes: [away] });
  expect(countOfA()).toBe(0);
  list.take({ changes: [back] });
  expect(countOfA(), `seed ${random.seed}`).toBeLessThan(50);
  clock.advance(1_000);
  expect(countOfA()).toBe(100);
});

test.each([1, 20_000])("one that joins a list of %d has a slow start, also if nothing was picked before", (count) => {
  const { list, clock, random, countOf } = slowList("slow start before the first pick");
  const first = Array.from({ length: count }, (_, at) => put(instance(`m${at}`)));
  list.take({ changes: first, first: true });
  clock.advance(60_000);
  list.take({ changes: [put(instance("new"))] });
  const evenly = 100;
  expect(countOf("new", evenly * (count + 1)), `seed ${random.seed}`).toBeLessThan(evenly / 2);
  clock.advance(1_000);
  expect(countOf("new", count + 1)).toBe(1);
});

test("those that join an empty list share evenly", () => {
  const { list, random, countOf } = slowList("slow start of all");
  list.take({ changes: [], first: true });
  for (const id of ["a", "b", "c", "d"]) {
    list.take({ changes: [put(instance(id))] });
    countOf(id, 1);
  }
  expect(countOf("a", 400), `seed ${random.seed}`).toBe(100);
});
