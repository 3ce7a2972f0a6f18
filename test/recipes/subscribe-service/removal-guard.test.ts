import { expect, test } from "vitest";
import type { ServiceInstance } from "../../../recipes/index.ts";
import { type Removal, RemovalGuard } from "../../../recipes/subscribe-service/removal-guard.ts";
import { FakeClock } from "../../support/fake-clock.ts";

function guarded(count: number, maxDropRatio: number, holdMs = 60_000) {
  const clock = new FakeClock();
  const listed = new Set(Array.from({ length: count }, (_, index) => `k${index}`));
  const leaving = new Set<string>();
  const warnings: string[] = [];
  const received: string[] = [];
  const apply = (changes: readonly Removal[]) => {
    for (const change of changes) {
      if (change.type === "delete") received.push(`${change.key} after ${clock.monotonicMs()} ms`);
      if (change.type === "delete") listed.delete(change.key);
      if (change.type === "delete" || !change.leaving) leaving.delete(change.key);
      else leaving.add(change.key);
    }
  };
  const guard = new RemovalGuard({
    what: "/svc/",
    maxDropRatio,
    holdMs,
    clock,
    size: () => listed.size,
    isListed: (key) => listed.has(key),
    onChanges: apply,
    onWarning: ({ message }) => warnings.push(message),
  });
  const remove = (...keys: string[]) => {
    apply(guard.postpone(keys.map((key) => ({ type: "delete" as const, key }))) as Removal[]);
    guard.look();
  };
  const put = (key: string) => {
    guard.postpone([{ type: "put", instance: { key } as ServiceInstance }]);
    listed.add(key);
    leaving.delete(key);
    guard.look();
  };
  const keys = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `k${from + index}`);
  return { clock, listed, leaving, warnings, received, guard, remove, put, keys };
}

test("a few are emitted a second later, and not picked meanwhile", () => {
  const { clock, listed, leaving, remove, warnings } = guarded(10, 0.5);
  remove("k1", "k2");
  expect([listed.size, leaving.size]).toEqual([10, 2]);
  clock.advance(999);
  expect(listed.size).toBe(10);
  clock.advance(1);
  expect([listed.size, leaving.size, warnings.length]).toEqual([8, 0, 0]);
  expect(clock.pendingTimers).toBe(0);
});

test("nine of ten at once, one by one: none is emitted, and one warning says so", () => {
  const { listed, leaving, warnings, guard, remove, keys, clock } = guarded(10, 0.5);
  for (const key of keys(0, 9)) remove(key);
  expect([listed.size, leaving.size, guard.heldBack]).toEqual([10, 0, 9]);
  clock.advance(59_999);
  expect(listed.size).toBe(10);
  expect(warnings).toEqual(["5 of 10 services under /svc/ are gone at once; what is still listed stays for 60000 ms"]);
  clock.advance(1);
  expect([listed.size, guard.heldBack]).toEqual([1, 0]);
  expect(clock.pendingTimers).toBe(0);
});

test("leases that end one after the other are a mass removal, too", () => {
  const { listed, remove, keys, clock, warnings } = guarded(100, 0.5);
  for (const key of keys(0, 90)) {
    remove(key);
    clock.advance(50);
  }
  expect(listed.size).toBeGreaterThan(50);
  expect(warnings).toHaveLength(1);
});

test("few within any ten seconds are none, however many in all", () => {
  const { listed, remove, keys, clock, warnings, put } = guarded(10, 0.5);
  for (const [index, key] of keys(0, 9).entries()) {
    remove(key);
    put(`new${index}`);
    clock.advance(3_000);
  }
  expect(warnings).toEqual([]);
  expect(listed.size).toBe(10);
});

test("those that return are listed as ever; the others are held until their time is over", () => {
  const { listed, guard, remove, put, keys, clock } = guarded(10, 0.5);
  remove(...keys(0, 9));
  for (const key of keys(0, 7)) put(key);
  expect([listed.size, guard.heldBack]).toEqual([10, 2]);
  clock.advance(30_000);
  // One that leaves by itself meanwhile is emitted as ever.
  remove("k9");
  clock.advance(1_000);
  expect([listed.size, guard.heldBack]).toEqual([9, 2]);
  clock.advance(29_000);
  expect([listed.size, guard.heldBack]).toEqual([7, 0]);
});

test("a ratio of 1 holds back an empty list only", () => {
  const { listed, remove, keys, clock, warnings } = guarded(4, 1);
  remove(...keys(0, 3));
  clock.advance(1_000);
  expect(listed.size).toBe(1);
  clock.advance(10_000);
  remove("k3");
  clock.advance(1_000);
  expect(listed.size).toBe(1);
  expect(warnings).toHaveLength(1);
});

test("after a hold what goes next is looked at by itself", () => {
  const { listed, remove, keys, clock, put, warnings } = guarded(10, 0.5, 2_000);
  remove(...keys(0, 9));
  clock.advance(2_000);
  expect(listed.size).toBe(1);
  for (const key of keys(20, 24)) put(key);
  remove("k20");
  clock.advance(1_000);
  expect([listed.size, warnings.length]).toEqual([4, 1]);
});

test("one that said it was leaving and is back is not emitted", () => {
  const { listed, remove, put, clock, guard } = guarded(10, 0.5);
  remove("k1");
  put("k1");
  clock.advance(5_000);
  expect(listed.size).toBe(10);
  remove("k1");
  guard.close();
  expect(clock.pendingTimers).toBe(0);
});

test("a rolling restart, one after the other and each back before the next, is no mass removal", () => {
  const { clock, warnings, remove, put, keys, listed } = guarded(4, 0.5);
  for (const key of keys(0, 4)) {
    remove(key);
    clock.advance(1_500);
    put(key);
    clock.advance(500);
  }
  // Nor is it when each is replaced by one with another name.
  for (const key of keys(0, 4)) {
    put(`new-${key}`);
    remove(key);
    clock.advance(1_500);
  }
  expect([listed.size, warnings]).toEqual([4, []]);
});

test("one that goes again, or twice, delays no other", () => {
  const { clock, remove, put, received } = guarded(20, 1);
  remove("k1");
  remove("k3");
  clock.advance(200);
  remove("k2");
  put("k3");
  clock.advance(300);
  remove("k1");
  remove("k3");
  clock.advance(2_000);
  expect(received).toEqual(["k1 after 1000 ms", "k2 after 1200 ms", "k3 after 1500 ms"]);
});

test("what was never listed is no removal; what came and went in one step is one", () => {
  const { remove, warnings, guard, leaving } = guarded(2, 0.5);
  remove("x1", "x2", "x3");
  expect([warnings, guard.heldBack, leaving.size]).toEqual([[], 0, 0]);
  const instance = { key: "x1" } as ServiceInstance;
  const changes = guard.postpone([
    { type: "put", instance },
    { type: "delete", key: "x1" },
  ]);
  expect(changes).toEqual([
    { type: "put", instance },
    { type: "leaving", key: "x1", leaving: true },
  ]);
});

test("what is held and cannot be read when it is back is held on", () => {
  const { remove, put, keys, guard, listed, clock } = guarded(10, 0.5);
  remove(...keys(0, 9));
  for (const key of keys(0, 7)) put(key);
  remove("k8");
  expect(guard.heldBack).toBe(2);
  clock.advance(5_000);
  expect([listed.size, guard.heldBack]).toEqual([10, 2]);
});

test("what came a moment ago counts as well: the list is compared with the most that there were", () => {
  const { remove, put, keys, guard, clock } = guarded(4, 0.5);
  for (const key of keys(4, 10)) {
    put(key);
    clock.advance(100);
  }
  remove(...keys(4, 10));
  expect(guard.heldBack).toBe(6);
});

test("another mass removal during a hold is held for its own time, and has a warning of its own", () => {
  const { clock, listed, guard, warnings, remove, keys } = guarded(100, 0.3);
  remove(...keys(0, 40));
  clock.advance(57_000);
  remove(...keys(40, 90));
  expect([listed.size, guard.heldBack]).toEqual([100, 90]);
  clock.advance(3_000);
  expect([listed.size, guard.heldBack]).toEqual([60, 50]);
  clock.advance(56_999);
  expect(listed.size).toBe(60);
  clock.advance(1);
  expect([listed.size, guard.heldBack]).toEqual([10, 0]);
  expect(warnings).toEqual([
    "40 of 100 services under /svc/ are gone at once; what is still listed stays for 60000 ms",
    "50 of 60 services under /svc/ are gone at once; what is still listed stays for 60000 ms",
  ]);
  expect(clock.pendingTimers).toBe(0);
});
