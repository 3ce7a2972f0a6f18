import { expect, test } from "vitest";
import type { KeyKeeper } from "../../../recipes/registration/key-keeper.ts";
import { type MemberSurroundings, RegisteredMember } from "../../../recipes/registration-group/registered-member.ts";
import type { KeyValue, Lease, LeaseId } from "../../../src/index.ts";
import { Admission, systemRuntime } from "../../../src/internal/index.ts";
import { FakeClock, settled } from "../../support/fake-clock.ts";

const own = "a" as LeaseId;
const later = "b" as LeaseId;

function memberOf(admission = new Admission()): {
  member: RegisteredMember;
  item: KeyKeeper;
  due: () => boolean;
  nextLease: () => void;
} {
  let enqueued = 0;
  let current = own;
  const around: MemberSurroundings = {
    clock: systemRuntime.clock,
    admission,
    limitMs: 1_000,
    ended: new AbortController().signal,
    lease: () => ({ id: current }) as Lease,
    isOwn: (lease) => lease === own || lease === later,
    enqueue: () => enqueued++,
    hurry() {},
    left: () => {},
    emit: () => {},
  };
  const registration = { address: "a:1", weight: 1, draining: false, metadata: undefined };
  const member = new RegisteredMember(
    { id: "m1", key: "/svc/m1", format: "plain", isChosen: true, registration, onConflict: "replace" },
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
  return { member, item: member.item, due, nextLease };
}

function state(text: string, modRevision: number, lease?: LeaseId): KeyValue {
  return { text, modRevision, lease, createRevision: modRevision } as KeyValue;
}

test("the first step needs no look: put if it is missing", () => {
  const { member, item } = memberOf();
  expect(item.next(own)).toEqual({ type: "put", over: undefined, text: "a:1", lease: own });
  expect(item.next(undefined)).toBeUndefined();
  item.done(10);
  expect(member.status).toBe("registered");
  expect(item.next(own)).toBeUndefined();
});

test("one that leaves waits as long as other calls work, but not while its own steps fail", async () => {
  const leaving = async (fails: boolean) => {
    const clock = new FakeClock();
    const admission = new Admission(clock);
    const { member, item } = memberOf(admission);
    item.next(own);
    item.done(10);
    const left = { ended: false };
    const close = member.close().then(() => {
      left.ended = true;
    });
    for (let round = 0; round < 10; round++) {
      expect(left.ended).toBe(fails && round >= 3);
      item.next(own);
      if (fails) item.failed(new Error("the disk of etcd is full"));
      await admission.run(async () => {});
      clock.advance(400);
      await settled();
    }
    if (!fails) item.done(20);
    await close;
  };
  await leaving(false);
  await leaving(true);
});

test("an answer that the mirror has overtaken does not hide who came after it", () => {
  const { member, item } = memberOf();
  item.next(own);
  // Ours landed at 20, another owner's at 30, and both are seen before the answer of ours.
  item.seen(state("a:1", 20, own), 20, false);
  item.seen(state("theirs", 30), 30, false);
  item.done(20);
  expect(member.status).toBe("passive");
  item.seen(undefined, 40, false);
  expect(item.next(own)).toEqual({ type: "put", over: undefined, text: "a:1", lease: own });
});

test("what the mirror reports late, from before the own write, is not taken for a loss", () => {
  const { member, item, due } = memberOf();
  item.next(own);
  item.done(20);
  due();
  item.seen(undefined, 15, false);
  expect(member.status).toBe("registered");
  expect(due()).toBe(false);
});

test("made and deleted within one batch, seen before the answer to its put: it is not taken for registered", () => {
  const { member, item, due } = memberOf();
  item.next(own);
  item.done(10);
  item.seen(undefined, 15, false);
  expect(item.next(own)).toMatchObject({ type: "put", over: undefined });
  due();
  // Put back at 20 and deleted at 30: the batch says only that it is missing, which is known.
  item.seen(undefined, 30, false);
  item.done(20);
  expect(member.status).toBe("recovering");
  expect(due()).toBe(true);
  expect(item.next(own)).toEqual({ type: "put", over: undefined, text: "a:1", lease: own });
});

test("another owner that came and went before a late answer shows it is not waited for", () => {
  const { member, item } = memberOf();
  item.next(own);
  item.done(10);
  item.seen(undefined, 15, false);
  item.next(own);
  item.seen(undefined, 30, true);
  item.found(state("theirs", 20, "f" as LeaseId), 25);
  expect(member.status).toBe("recovering");
  expect(item.next(own)).toMatchObject({ type: "put", over: undefined });
});

test("a list of a history that is behind the own write is not believed, and not ignored: the key is looked at", () => {
  const { member, item } = memberOf();
  item.next(own);
  item.done(20);
  item.seen(undefined, 5, true);
  expect(member.status).toBe("registered");
  expect(item.next(own)).toEqual({ type: "look" });
  item.found(undefined, 6);
  expect(member.status).toBe("recovering");
  expect(item.next(own)).toEqual({ type: "put", over: undefined, text: "a:1", lease: own });
});

test("what the mirror reports while the key is looked at counts only if it is newer than what the look shows", () => {
  for (const [revision, status] of [
    [15, "registered"],
    [30, "recovering"],
  ] as const) {
    const { member, item } = memberOf();
    item.next(own);
    item.done(20);
    item.seen(undefined, 5, true);
    expect(item.next(own)).toEqual({ type: "look" });
    item.seen(undefined, revision, false);
    item.found(state("a:1", 20, own), 25);
    expect(member.status).toBe(status);
  }
});

test("after a put without an answer the next one is guarded by the same revision, and finds the first if it landed", () => {
  const { member, item } = memberOf();
  item.next(own);
  item.failed(new Error("no answer"));
  expect(item.next(own)).toMatchObject({ over: undefined });
  item.found(state("a:1", 10, own), 12);
  expect(member.status).toBe("registered");
  expect(item.next(own)).toBeUndefined();
});

test("a value on an earlier lease, or an older value of its own, is put over at its revision", async () => {
  const { item } = memberOf();
  item.next(own);
  item.found(state("a:0", 10, own), 12);
  expect(item.next(own)).toEqual({
    type: "put",
    over: expect.objectContaining({ modRevision: 10 }),
    text: "a:1",
    lease: own,
  });
});

test("a put on a lease that was lost before its answer came does not count: it is put again on the next one", () => {
  const { member, item, nextLease } = memberOf();
  item.next(own);
  nextLease();
  item.leaseLost(new Error("lost"));
  item.done(10);
  expect(member.status).toBe("registering");
  expect(item.next(later)).toEqual({
    type: "put",
    over: expect.objectContaining({ modRevision: 10 }),
    text: "a:1",
    lease: later,
  });
  item.done(11);
  expect(member.status).toBe("registered");
});

test("closing without an answer to the last put looks first, and deletes only its own", async () => {
  const { member, item } = memberOf();
  item.next(own);
  item.failed(new Error("no answer"));
  const closing = member.close();
  await Promise.resolve();
  expect(item.next(own)).toEqual({ type: "look" });
  item.found(state("a:1", 10, own), 12);
  expect(item.next(own)).toEqual({ type: "delete", over: expect.objectContaining({ modRevision: 10 }) });
  item.found(state("theirs", 13), 14);
  expect(item.next(own)).toBeUndefined();
  await closing;
  expect(member.status).toBe("closed");
});

test("registered by what a former owner had put late, without a put of its own: closing deletes it", async () => {
  const { member, item } = memberOf();
  item.seen(state("a:1", 10, own), 10, false);
  expect(member.status).toBe("registered");
  const closing = member.close();
  await settled();
  expect(item.next(own)).toEqual({ type: "delete", over: expect.objectContaining({ modRevision: 10 }) });
  item.done(11);
  await closing;
});
