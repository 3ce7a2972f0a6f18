import { expect, test } from "vitest";
import { type MemberSurroundings, RegisteredMember } from "../../../recipes/registration-group/registered-member.ts";
import type { KeyValue, Lease, LeaseId } from "../../../src/index.ts";
import { Admission, systemRuntime } from "../../../src/internal/index.ts";
import { settled } from "../../support/fake-clock.ts";

const own = "a" as LeaseId;

function memberOf(format: "plain" | "endpoint" = "plain") {
  let enqueued = 0;
  const left: boolean[] = [];
  const around: MemberSurroundings = {
    clock: systemRuntime.clock,
    admission: new Admission(),
    limitMs: 1_000,
    ended: new AbortController().signal,
    lease: () => ({ id: own }) as Lease,
    isOwn: (lease) => lease === own,
    enqueue: () => enqueued++,
    hurry() {},
    left: (_, gone) => left.push(gone),
    emit: () => {},
  };
  const registration = { address: "a:1", weight: 1, draining: false, metadata: undefined };
  const member = new RegisteredMember(
    { id: "m1", key: "/svc/m1", format, isChosen: true, registration, onConflict: "replace" },
    around,
  );
  member.startAfter(undefined);
  return {
    member,
    item: member.item,
    left,
    due: () => {
      const was = enqueued > 0;
      enqueued = 0;
      return was;
    },
  };
}

function state(text: string, modRevision: number, lease?: LeaseId): KeyValue {
  return { text, modRevision, lease, createRevision: modRevision } as KeyValue;
}

test("an update whose put had no answer, taken back by the next one: the key is looked at, and both resolve", async () => {
  const { member, item } = memberOf();
  item.next(own);
  item.done(10);
  const there = member.update({ address: "b:1" });
  expect(item.next(own)).toMatchObject({ over: expect.objectContaining({ modRevision: 10 }), text: "b:1" });
  item.failed(new Error("no answer"));
  const back = member.update({ address: "a:1" });
  expect(item.next(own)).toEqual({ type: "look" });
  item.found(state("a:1", 10, own), 11);
  await Promise.all([there, back]);
});

test("an update to what stands there after a put without an answer resolves", async () => {
  const { member, item, due } = memberOf();
  item.next(own);
  item.done(10);
  void member.update({ address: "b:1" });
  item.next(own);
  // It landed, the mirror shows it, the answer is lost.
  item.seen(state("b:1", 20, own), 20, false);
  item.failed(new Error("no answer"));
  item.next(own);
  due();
  const again = member.update({ address: "b:1" });
  expect(due()).toBe(true);
  expect(item.next(own)).toEqual({ type: "look" });
  item.found(state("b:1", 20, own), 21);
  await again;
});

test("closed while a put of a missing key is on its way: it waits for that, and deletes what it made", async () => {
  const { member, item, left } = memberOf();
  item.next(own);
  item.done(10);
  item.seen(undefined, 11, false);
  expect(item.next(own)).toMatchObject({ type: "put", over: undefined });
  const closing = member.close();
  await settled();
  expect(left).toEqual([]);
  item.done(12);
  expect(item.next(own)).toEqual({ type: "delete", over: expect.objectContaining({ modRevision: 12 }) });
  item.done(13);
  await closing;
});

test("etcd was wiped, and answers with revisions below those known when it was asked: no answer is thrown away", () => {
  const { member, item } = memberOf();
  item.next(own);
  item.done(1_000);
  void member.update({ address: "b:1" });
  let asked = 0;
  for (; asked < 50; asked++) {
    const step = item.next(own);
    if (step?.type !== "put" || step.over === undefined) break;
    item.found(undefined, 5);
  }
  expect(asked).toBeLessThan(3);
});

test("replaced before its own first answer came: it waits, and does not take the key back", () => {
  const { member, item } = memberOf();
  item.next(own);
  // Ours landed at 20, theirs at 30; the mirror reports both in one batch, before the answer of ours.
  item.seen(state("theirs", 30, "f" as LeaseId), 30, false);
  item.done(20);
  // What it does next may be a look, and nothing but that.
  expect(item.next(own)?.type ?? "look").toBe("look");
  item.found(state("theirs", 30, "f" as LeaseId), 31);
  expect(item.next(own)).toBeUndefined();
  expect(member.status).toBe("passive");
});
