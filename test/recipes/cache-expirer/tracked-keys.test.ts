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
const nothing = () => undefined;

test("a key that etcd said is gone is not there again because the mirror comes to its put only now", () => {
  const keys = new TrackedKeys("cache/");
  keys.learn("a", { modRevision: 10, expiresAt }, 10);
  keys.learn("a", undefined, 11);
  keys.apply(batch(10, { puts: [put(10)] }), false, nothing);
  expect(keys.get("a")).toBeUndefined();
  keys.apply(batch(11, { deletes: [put(10)] }), false, nothing);
  keys.apply(batch(12, { puts: [put(12)] }), false, nothing);
  expect(keys.get("a")).toMatchObject({ modRevision: 12 });
});

test("what came and went within one batch, which shows nothing of it, went; what is there is no ghost", () => {
  const keys = new TrackedKeys("cache/");
  keys.apply(batch(5, { type: "snapshot" }), false, nothing);
  const there = { ...put(11), key: "cache/there" };
  keys.learn("evicted here", { modRevision: 10, expiresAt }, 10);
  keys.learn("evicted here", undefined, 12);
  keys.learn("elsewhere", { modRevision: 10, expiresAt }, 10);
  keys.learn("there", { modRevision: 11, expiresAt }, 11);
  keys.learn("made again", { modRevision: 10, expiresAt }, 10);
  keys.learn("made again", undefined, 11);
  keys.learn("later", { modRevision: 21, expiresAt }, 21);
  const again = { ...put(13), key: "cache/made again" };
  const went = keys.apply(batch(13, { puts: [there, again] }), false, nothing);
  expect([...went]).toEqual([
    ["elsewhere", expiresAt],
    ["evicted here", expiresAt],
  ]);
  expect(keys.get("there")).toMatchObject({ asOf: 0 });
  expect(keys.get("made again")).toMatchObject({ modRevision: 13 });
  expect(keys.get("later")).toMatchObject({ asOf: 21 });
  expect(keys.size).toBe(3);
  expect(keys.apply(batch(14, {}), false, nothing).size).toBe(0);
});

test("of two answers the newer one counts, whichever comes first", () => {
  const keys = new TrackedKeys("cache/");
  keys.learn("a", undefined, 11);
  keys.learn("a", { modRevision: 10, expiresAt }, 10);
  expect(keys.get("a")).toBeUndefined();
  keys.learn("a", { modRevision: 12, expiresAt }, 12);
  keys.learn("a", undefined, 11);
  expect(keys.get("a")).toMatchObject({ modRevision: 12 });
});

test("what was gone in a history that is lost says nothing of the next one", () => {
  const keys = new TrackedKeys("cache/");
  keys.learn("a", undefined, 11);
  keys.apply(batch(2, { type: "resynced", puts: [put(2)] }), true, () => put(2));
  expect(keys.get("a")).toMatchObject({ modRevision: 2 });
});

test("what answers alone said was there, and a list does not have, went; what the mirror will tell of did not yet", () => {
  const keys = new TrackedKeys("cache/");
  for (const id of ["a", "b", "seen", "later"]) keys.learn(id, { modRevision: 10, expiresAt }, 10);
  keys.learn("b", undefined, 30);
  keys.learn("seen", undefined, 30);
  keys.learn("later", { modRevision: 35, expiresAt }, 35);
  keys.learn("never", undefined, 11);
  const listed = { ...put(10), key: "cache/seen" };
  const now = (id: string) => (id === "seen" ? listed : undefined);
  const went = keys.apply(batch(20, { type: "snapshot", puts: [listed] }), false, now);
  expect([...went]).toEqual([
    ["a", expiresAt],
    ["b", expiresAt],
  ]);
  expect(keys.get("later")).toBeDefined();
  expect([...keys.apply(batch(30, { deletes: [listed] }), false, nothing).keys()]).toEqual(["seen"]);
  expect([...keys.apply(batch(36, { type: "resynced" }), false, nothing).keys()]).toEqual(["later"]);
  expect(keys.size).toBe(0);
});

test("what was there in a history that is lost went, also what no list had shown", () => {
  const keys = new TrackedKeys("cache/");
  keys.apply(batch(5, { type: "snapshot" }), false, nothing);
  keys.learn("a", { modRevision: 10, expiresAt }, 10);
  keys.learn("b", { modRevision: 11, expiresAt }, 11);
  keys.learn("b", undefined, 12);
  const went = keys.apply(batch(2, { type: "resynced" }), true, nothing);
  expect([...went.keys()].toSorted()).toEqual(["a", "b"]);
});
