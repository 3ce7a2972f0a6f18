import { expect, test } from "vitest";
import type { ServiceInstance } from "../../../recipes/index.ts";
import { ChangeDebounce } from "../../../recipes/subscribe-service/change-debounce.ts";
import { FakeClock } from "../../support/fake-clock.ts";

function instance(key: string, revision: number, createRevision = 1): ServiceInstance {
  const { address, weight, draining } = { address: "a:1", weight: 1, draining: false };
  return { key, id: key, address, weight, draining, metadata: undefined, createRevision, modRevision: revision };
}

function debounce(delayMs: number, maxDelayMs: number) {
  const clock = new FakeClock();
  const received: string[] = [];
  const change = new ChangeDebounce<unknown>({
    delayMs,
    maxDelayMs,
    clock,
    emit: ({ puts, deletes }) => {
      const names = (list: readonly ServiceInstance[]) => list.map(({ key, modRevision }) => key + modRevision).join();
      received.push(`+${names(puts)} -${names(deletes)}`);
    },
  });
  return { clock, received, change };
}

test("without a delay each batch is emitted", () => {
  const { change, received, clock } = debounce(0, 0);
  change.put(instance("a", 1), undefined);
  change.settle(false);
  change.settle(false);
  expect(received).toEqual(["+a1 -"]);
  expect(clock.pendingTimers).toBe(0);
});

test("a pause ends the wait, and what came to nothing is not emitted", () => {
  const { change, received, clock } = debounce(100, 1_000);
  const a1 = instance("a", 1);
  change.put(instance("a", 2), a1);
  change.settle(false);
  clock.advance(60);
  change.put(instance("b", 3), undefined);
  change.put(instance("c", 3), undefined);
  change.settle(false);
  clock.advance(99);
  expect(received).toEqual([]);
  change.deleted(instance("b", 3));
  change.put(instance("a", 4), instance("a", 2));
  change.settle(false);
  clock.advance(100);
  expect(received).toEqual(["+a4,c3 -"]);
  change.deleted(instance("a", 4));
  change.put(instance("a", 5, 5), undefined);
  change.settle(false);
  clock.advance(100);
  expect(received.at(-1)).toBe("+a5 -a4");
});

test("changes without a pause are emitted all the same, after the longest wait", () => {
  const { change, received, clock } = debounce(100, 250);
  for (let revision = 1; revision <= 6; revision++) {
    change.put(instance("a", revision), revision === 1 ? undefined : instance("a", revision - 1));
    change.settle(false);
    clock.advance(50);
  }
  expect(received).toEqual(["+a5 -"]);
  clock.advance(50);
  expect(received).toEqual(["+a5 -", "+a6 -"]);
  expect(clock.pendingTimers).toBe(0);
});

test("the first instance of an empty list does not wait, and takes what waits with it", () => {
  const { change, received, clock } = debounce(100, 1_000);
  change.deleted(instance("a", 1));
  change.settle(false);
  change.put(instance("b", 2), undefined);
  change.settle(true);
  expect(received).toEqual(["+b2 -a1"]);
  expect(clock.pendingTimers).toBe(0);
});

test("what was dropped is not emitted", () => {
  const { change, received, clock } = debounce(100, 1_000);
  change.put(instance("a", 1), undefined);
  change.settle(false);
  change.drop();
  clock.advance(1_000);
  expect(received).toEqual([]);
  expect(clock.pendingTimers).toBe(0);
});
