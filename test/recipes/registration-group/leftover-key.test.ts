import { expect, test } from "vitest";
import { LeftoverKey } from "../../../recipes/registration/leftover-key.ts";
import type { KeyValue, LeaseId } from "../../../src/index.ts";

const own = "a" as LeaseId;

function leftoverOf(): { leftover: LeftoverKey; ended: () => boolean } {
  let over = false;
  const leftover = new LeftoverKey(
    "/svc/m1",
    (lease) => lease === own,
    () => {
      over = true;
    },
  );
  return { leftover, ended: () => over };
}

function state(modRevision: number, lease?: LeaseId): KeyValue {
  return { modRevision, lease } as KeyValue;
}

test("it is looked at, deleted as it was seen, and then over", () => {
  const { leftover, ended } = leftoverOf();
  expect(leftover.next()).toEqual({ type: "look" });
  leftover.found(state(10, own));
  expect(leftover.next()).toEqual({ type: "delete", over: expect.objectContaining({ modRevision: 10 }) });
  leftover.done();
  expect([ended(), leftover.next()]).toEqual([true, undefined]);
});

test("another owner's key, or none, is left alone", () => {
  for (const kv of [state(10, "b" as LeaseId), state(10), undefined]) {
    const { leftover, ended } = leftoverOf();
    leftover.next();
    leftover.found(kv);
    expect([ended(), leftover.next()]).toEqual([true, undefined]);
  }
});

test("a late put that is seen before the answer to the deletion of the one before it is not missed", () => {
  const { leftover, ended } = leftoverOf();
  leftover.next();
  leftover.found(state(10, own));
  leftover.next();
  // Deleted at 11, there again at 12, and that is heard of first.
  leftover.seen();
  leftover.done();
  expect([ended(), leftover.next()]).toEqual([false, { type: "look" }]);
  leftover.seen();
  leftover.found(undefined);
  expect([ended(), leftover.next()]).toEqual([false, { type: "look" }]);
});

test("once a member has the key again it is no leftover any more", () => {
  const { leftover, ended } = leftoverOf();
  leftover.next();
  leftover.cancel();
  leftover.found(state(10, own));
  expect([ended(), leftover.next()]).toEqual([true, undefined]);
});
