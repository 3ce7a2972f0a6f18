import { expect, test } from "vitest";
import { type MemberSurroundings, RegisteredMember } from "../../../recipes/registration-group/registered-member.ts";
import type { KeyValue, Lease, LeaseId } from "../../../src/index.ts";
import { systemRuntime } from "../../../src/internal/index.ts";

const own = "a" as LeaseId;
const later = "b" as LeaseId;

function memberOf(): { member: RegisteredMember; due: () => boolean; nextLease: () => void } {
  let enqueued = 0;
  let current = own;
  const around: MemberSurroundings = {
    clock: systemRuntime.clock,
    limitMs: 1_000,
    ended: new AbortController().signal,
    lease: () => ({ id: current }) as Lease,
    isOwn: (lease) => lease === own || lease === later,
    enqueue: () => enqueued++,
    left: () => {},
    tell: () => {},
  };
  const registration = { address: "a:1", weight: 1, draining: false, metadata: undefined };
  const member = new RegisteredMember(
    { id: "m1", key: "/svc/m1", format: "plain", registration, onConflict: "replace" },
    around,
  );
  member.startAfter(undefined);
  const due = () => {
    const was = enqueued > 0;
    enqueued = 0;
    return was;
  };
  const nextLease = () => {
    current = later;
  };
  return { member, due, nextLease };
}

function state(text: string, modRevision: number, lease?: LeaseId): KeyValue {
  return { text, modRevision, lease, createRevision: modRevision } as KeyValue;
}

test("the first step needs no look: put if it is missing", () => {
  const { member } = memberOf();
  expect(member.next(own)).toEqual({ type: "put", over: 0, text: "a:1", lease: own });
  expect(member.next(undefined)).toBeUndefined();
  member.done(10);
  expect(member.status).toBe("registered");
  expect(member.next(own)).toBeUndefined();
});

test("an answer that the mirror has overtaken does not hide who came after it", () => {
  const { member } = memberOf();
  member.next(own);
  // Ours landed at 20, somebody else's at 30, and both are told before the answer of ours.
  member.seen(state("a:1", 20, own), 20, false);
  member.seen(state("theirs", 30), 30, false);
  member.done(20);
  expect(member.status).toBe("passive");
  member.seen(undefined, 40, false);
  expect(member.next(own)).toEqual({ type: "put", over: 0, text: "a:1", lease: own });
});

test("what the mirror tells late, of before the own write, is not taken for a loss", () => {
  const { member, due } = memberOf();
  member.next(own);
  member.done(20);
  due();
  member.seen(undefined, 15, false);
  expect(member.status).toBe("registered");
  expect(due()).toBe(false);
});

test("a list of a history that is behind the own write is not believed, and not ignored: the key is looked at", () => {
  const { member } = memberOf();
  member.next(own);
  member.done(20);
  member.seen(undefined, 5, true);
  expect(member.status).toBe("registered");
  expect(member.next(own)).toEqual({ type: "look" });
  member.found(undefined, 6);
  expect(member.status).toBe("recovering");
  expect(member.next(own)).toEqual({ type: "put", over: 0, text: "a:1", lease: own });
});

test("what the mirror tells while the key is looked at counts only if it is newer than what the look shows", () => {
  for (const [revision, status] of [
    [15, "registered"],
    [30, "recovering"],
  ] as const) {
    const { member } = memberOf();
    member.next(own);
    member.done(20);
    member.seen(undefined, 5, true);
    expect(member.next(own)).toEqual({ type: "look" });
    member.seen(undefined, revision, false);
    member.found(state("a:1", 20, own), 25);
    expect(member.status).toBe(status);
  }
});

test("after a put without an answer the next one is guarded by the same revision, and finds the first if it landed", () => {
  const { member } = memberOf();
  member.next(own);
  member.failed(new Error("no answer"));
  expect(member.next(own)).toMatchObject({ over: 0 });
  member.found(state("a:1", 10, own), 12);
  expect(member.status).toBe("registered");
  expect(member.next(own)).toBeUndefined();
});

test("a value on an earlier lease, or an older value of its own, is put over at its revision", async () => {
  const { member } = memberOf();
  member.next(own);
  member.found(state("a:0", 10, own), 12);
  expect(member.next(own)).toEqual({ type: "put", over: 10, text: "a:1", lease: own });
});

test("a put on a lease that was lost before its answer came does not count: it is put again on the next one", () => {
  const { member, nextLease } = memberOf();
  member.next(own);
  nextLease();
  member.leaseLost(new Error("lost"));
  member.done(10);
  expect(member.status).toBe("registering");
  expect(member.next(later)).toEqual({ type: "put", over: 10, text: "a:1", lease: later });
  member.done(11);
  expect(member.status).toBe("registered");
});

test("closing without an answer to the last put looks first, and deletes only its own", async () => {
  const { member } = memberOf();
  member.next(own);
  member.failed(new Error("no answer"));
  const closing = member.close();
  await Promise.resolve();
  expect(member.next(own)).toEqual({ type: "look" });
  member.found(state("a:1", 10, own), 12);
  expect(member.next(own)).toEqual({ type: "delete", over: 10 });
  member.found(state("theirs", 13), 14);
  expect(member.next(own)).toBeUndefined();
  await closing;
  expect(member.status).toBe("closed");
});
