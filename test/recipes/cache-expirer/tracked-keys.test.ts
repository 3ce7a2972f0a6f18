import { expect, test } from "vitest";
import { encodeTracking } from "../../../recipes/cache-expirer/buckets.ts";
import { TrackedKeys } from "../../../recipes/cache-expirer/tracked-keys.ts";
import type { KeyValue, MirrorBatch } from "../../../src/index.ts";

const expiresAt = 5;
const put = (modRevision: number) =>
  ({ key: "cache/a", text: encodeTracking({ bucket: 1, expiresAt }), modRevision }) as KeyValue;
const batch = (revision: number, changes: Partial<MirrorBatch>): MirrorBatch => ({
  type: "changes",
  revision,
  puts: [],
  deletes: [],
  ...changes,
});

test("a key that etcd said is gone is not there again because the mirror comes to its put only now", () => {
  const keys = new TrackedKeys("cache/");
  keys.found("a", { modRevision: 10, expiresAt });
  keys.missing("a", 11);
  keys.apply(batch(10, { puts: [put(10)] }), false);
  expect(keys.get("a")).toBeUndefined();
  keys.apply(batch(11, { deletes: [put(10)] }), false);
  keys.apply(batch(12, { puts: [put(12)] }), false);
  expect(keys.get("a")).toMatchObject({ modRevision: 12 });
});

test("what came and went within one batch, which shows nothing of it, went; what is there is no ghost", () => {
  const keys = new TrackedKeys("cache/");
  keys.apply(batch(5, { type: "snapshot" }), false);
  const there = { ...put(11), key: "cache/there" };
  keys.found("evicted here", { modRevision: 10, expiresAt });
  keys.missing("evicted here", 12);
  keys.found("elsewhere", { modRevision: 10, expiresAt });
  keys.found("there", { modRevision: 11, expiresAt });
  keys.found("made again", { modRevision: 10, expiresAt });
  keys.missing("made again", 11);
  keys.found("later", { modRevision: 21, expiresAt });
  const again = { ...put(13), key: "cache/made again" };
  const went = keys.apply(batch(13, { puts: [there, again] }), false);
  expect([...went].toSorted()).toEqual([
    ["elsewhere", { expiresAt }],
    ["evicted here", { expiresAt }],
  ]);
  expect(keys.isAnswered("there")).toBe(false);
  expect(keys.get("made again")).toMatchObject({ modRevision: 13 });
  expect(keys.isAnswered("later")).toBe(true);
  expect(keys.size).toBe(3);
  expect(keys.apply(batch(14, {}), false).size).toBe(0);
});

test("of two answers the newer one counts, whichever comes first", () => {
  const keys = new TrackedKeys("cache/");
  keys.missing("a", 11);
  keys.found("a", { modRevision: 10, expiresAt });
  expect(keys.get("a")).toBeUndefined();
  keys.found("a", { modRevision: 12, expiresAt });
  keys.missing("a", 11);
  expect(keys.get("a")).toMatchObject({ modRevision: 12 });
});

test("what was gone in a history that is lost says nothing of the next one", () => {
  const keys = new TrackedKeys("cache/");
  keys.missing("a", 11);
  keys.apply(batch(2, { type: "resynced", puts: [put(2)] }), true);
  expect(keys.get("a")).toMatchObject({ modRevision: 2 });
});

test("what answers alone said was there, and a list does not have, went; what the mirror will report did not yet", () => {
  const keys = new TrackedKeys("cache/");
  for (const id of ["a", "b", "seen", "later"]) keys.found(id, { modRevision: 10, expiresAt });
  keys.missing("b", 30);
  keys.missing("seen", 30);
  keys.found("later", { modRevision: 35, expiresAt });
  keys.missing("never", 11);
  const listed = { ...put(10), key: "cache/seen" };
  const went = keys.apply(batch(20, { type: "snapshot", puts: [listed] }), false);
  expect([...went]).toEqual([
    ["a", { expiresAt }],
    ["b", { expiresAt }],
  ]);
  expect(keys.get("later")).toBeDefined();
  expect([...keys.apply(batch(30, { deletes: [listed] }), false).keys()]).toEqual(["seen"]);
  expect([...keys.apply(batch(36, { type: "resynced" }), false).keys()]).toEqual(["later"]);
  expect(keys.size).toBe(0);
});

test("what was there in a history that is lost went, also what no list had shown", () => {
  const keys = new TrackedKeys("cache/");
  keys.apply(batch(5, { type: "snapshot" }), false);
  keys.found("a", { modRevision: 10, expiresAt });
  keys.found("b", { modRevision: 11, expiresAt });
  keys.missing("b", 12);
  const went = keys.apply(batch(2, { type: "resynced" }), true);
  expect([...went.keys()].toSorted()).toEqual(["a", "b"]);
});

test("what an answer found, and the mirror had shown before it, stays when the mirror goes on", () => {
  const keys = new TrackedKeys("cache/");
  keys.apply(batch(10, { type: "snapshot", puts: [put(10)] }), false);
  // In an answer whose header says 20: etcd was that far for another client's write.
  keys.found("a", { modRevision: 10, expiresAt });
  expect(keys.isAnswered("a")).toBe(false);
  expect(keys.apply(batch(30, {}), false).size).toBe(0);
  expect(keys.get("a")).toMatchObject({ modRevision: 10 });
  expect(keys.endedBy(expiresAt)).toEqual(["a"]);
});

test("a deletion is reported once, also when an answer of a later revision said so before", () => {
  const keys = new TrackedKeys("cache/");
  keys.apply(batch(10, { type: "snapshot", puts: [put(10)] }), false);
  keys.missing("a", 20);
  expect([...keys.apply(batch(11, { deletes: [put(10)] }), false).keys()]).toEqual(["a"]);
  expect(keys.apply(batch(30, {}), false).size).toBe(0);
});

test("an answer that comes after the mirror has passed what it found says whether that went unseen", () => {
  const keys = new TrackedKeys("cache/");
  keys.apply(batch(10, { type: "snapshot", puts: [put(10)] }), false);
  expect(keys.found("a", { modRevision: 10, expiresAt })).toBe(true);
  expect(keys.found("came and went", { modRevision: 9, expiresAt })).toBe(false);
  expect(keys.found("new", { modRevision: 11, expiresAt })).toBe(true);
});

test("an id found before it was missing, and answered after it, is reported gone", () => {
  const keys = new TrackedKeys("cache/");
  keys.missing("a", 20);
  keys.found("a", { modRevision: 10, expiresAt });
  expect(keys.get("a")).toBeUndefined();
  expect([...keys.apply(batch(15, { type: "snapshot" }), false)]).toEqual([["a", { expiresAt }]]);
});

test("an answer of a lost history, which the mirror never comes to, is forgotten when etcd has no such state", () => {
  const keys = new TrackedKeys("cache/");
  keys.apply(batch(9, { type: "snapshot" }), false);
  keys.apply(batch(1, { type: "resynced" }), true);
  // It was on its way while etcd lost its history.
  keys.found("a", { modRevision: 10, expiresAt });
  keys.found("b", { modRevision: 11, expiresAt });
  expect(keys.endedBy(expiresAt)).toEqual(["a", "b"]);
  const [a, b] = [keys.get("a"), keys.get("b")] as const;
  if (!a || !b) throw new Error("an answer is not known");
  expect(keys.refuted("a", a)).toBe(true);
  expect(keys.get("a")).toBeUndefined();
  expect(keys.endedBy(expiresAt)).toEqual(["b"]);
  // A newer answer stands, and so does what the mirror shows.
  keys.found("b", { modRevision: 12, expiresAt });
  keys.apply(batch(2, { puts: [{ ...put(2), key: "cache/c" }] }), false);
  expect(keys.refuted("b", { ...b })).toBe(false);
  expect(keys.refuted("c", keys.get("c") ?? b)).toBe(false);
  expect(keys.size).toBe(2);
});

test("what an answer of a lost history said before the first list is forgotten when the mirror does not come to it", () => {
  const keys = new TrackedKeys("cache/");
  keys.found("evicted here", { modRevision: 7, expiresAt });
  keys.missing("evicted here", 8);
  keys.found("there", { modRevision: 9, expiresAt });
  keys.apply(batch(1, { type: "snapshot" }), false);
  expect(keys.forgetOverdue(1_000).size).toBe(0);
  expect(keys.forgetOverdue(30_999).size).toBe(0);
  keys.found("late", { modRevision: 10, expiresAt });
  expect([...keys.forgetOverdue(31_000)]).toEqual([
    ["evicted here", { expiresAt }],
    ["there", { expiresAt }],
  ]);
  expect(keys.size).toBe(1);
  // What the mirror shows is no news.
  keys.apply(batch(2, { puts: [{ ...put(2), key: "cache/late" }] }), false);
  expect(keys.forgetOverdue(100_000).size).toBe(0);
  expect(keys.forgetOverdue(200_000).size).toBe(0);
  expect(keys.get("late")).toMatchObject({ modRevision: 2 });
});
