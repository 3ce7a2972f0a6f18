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

test.each([
  ["drained", put(instance("a", { draining: true })), put(instance("a"))],
  ["was ejected", put(instance("a", { ejected })), put(instance("a"))],
  ["was gone and is held", leaving(true), leaving(false)],
])("a server that can be picked again after it %s has a slow start", (_, away, back) => {
  const random = seeded("slow start of one that is back");
  const clock = new FakeClock();
  const pick = { strategy: "round-robin", slowStartMs: 1_000, changeDelayMs: 0, changeMaxDelayMs: 0 };
  const list = new LiveList({ clock, random: random.next }, pick as never);
  const countOfA = () => {
    let count = 0;
    for (let at = 0; at < 400; at++) if (list.balancer.pick(list.table.pickable(), {}).key === "/svc/a") count++;
    return count;
  };
  list.take({ changes: ["a", "b", "c", "d"].map((id) => put(instance(id))), first: true });
  expect(countOfA()).toBe(100);
  list.take({ changes: [away] });
  expect(countOfA()).toBe(0);
  list.take({ changes: [back] });
  expect(countOfA(), `seed ${random.seed}`).toBeLessThan(50);
  clock.advance(1_000);
  expect(countOfA()).toBe(100);
});
