import { type KeyValue, StoredKeyValue } from "../model/key-value.ts";
import type { WatchEvent } from "../model/watch-event.ts";

/**
 * One step of a mirrored range. Apply `deletes` first, then `puts`: a key that was deleted and made again stands in
 * both, with its old state in `deletes` and its new one in `puts`.
 */
export interface MirrorBatch {
  /**
   * `snapshot`: the first of an iteration, all entries as puts. `changes`: what happened since, or nothing, when etcd
   * said that nothing did up to this revision. `resynced`: the difference between what this reader last saw and the
   * state now, after a list read anew or a reader that lagged.
   */
  readonly type: "snapshot" | "changes" | "resynced";
  /** The entries are as etcd had them at this revision. */
  readonly revision: number;
  readonly puts: readonly KeyValue[];
  /**
   * The last state of each key that was deleted. In `changes` that can be a key that this reader never had: one that
   * was put and deleted within the step stands here with the state that it had in between, so that no deletion is
   * missed. In `resynced` there are only keys that the reader had.
   */
  readonly deletes: readonly KeyValue[];
}

export type Entries = Map<string, KeyValue>;

/** A batch on its way to a reader. */
export interface MirrorStep extends MirrorBatch {
  /** The names of those that were not there before: only with them can several steps be merged exactly. */
  readonly fresh: ReadonlySet<string>;
}

/**
 * What an entry is kept under: its key as text. A key that is not UTF-8 has no text of its own, so it stands under
 * U+FFFD and its bytes in hex: two keys never share a place.
 */
export function entryName(kv: Pick<KeyValue, "key" | "keyBytes">): string {
  return kv.key.includes("\ufffd") ? `\ufffd${Buffer.from(kv.keyBytes).toString("hex")}` : kv.key;
}

/** What came of events that were applied. */
export interface AppliedEvents extends MirrorStep {
  /** How long the values were that are no longer there. */
  readonly droppedBytes: number;
}

/**
 * Applies events, up to `revision`, in place and returns what they came to: each key that was deleted, and the new
 * state of each that is there.
 */
export function applyEvents(entries: Entries, events: readonly WatchEvent[], revision: number): AppliedEvents {
  const puts = new Map<string, KeyValue>();
  const deletes = new Map<string, KeyValue>();
  const fresh = new Set<string>();
  let droppedBytes = 0;
  for (const { type, kv } of events) {
    const name = entryName(kv);
    const last = entries.get(name);
    if (last) droppedBytes += StoredKeyValue.lengthOf(last);
    if (type === "put") {
      if (!last && !deletes.has(name)) fresh.add(name);
      entries.set(name, kv);
      puts.set(name, kv);
      continue;
    }
    entries.delete(name);
    puts.delete(name);
    if (last && !deletes.has(name)) deletes.set(name, last);
  }
  return { type: "changes", revision, puts: [...puts.values()], deletes: [...deletes.values()], fresh, droppedBytes };
}

/**
 * The exact difference between two states, the second as of `revision`. Not only keys and values count: a key that was
 * made anew is another one.
 */
export function difference(
  before: ReadonlyMap<string, KeyValue>,
  after: ReadonlyMap<string, KeyValue>,
  revision: number,
  same: (a: KeyValue, b: KeyValue) => boolean,
): MirrorStep {
  const puts: KeyValue[] = [];
  const deletes: KeyValue[] = [];
  const fresh = new Set<string>();
  for (const [name, old] of before) {
    const now = after.get(name);
    if (!now || !continues(old, now)) deletes.push(old);
  }
  for (const [name, now] of after) {
    const old = before.get(name);
    if (!old) fresh.add(name);
    if (!old || !same(old, now)) puts.push(now);
  }
  return { type: "resynced", revision, puts, deletes, fresh };
}

/**
 * Whether a key was only put since. What a wiped etcd has made anew can carry the same createRevision, but begins
 * again.
 */
function continues(old: KeyValue, now: KeyValue): boolean {
  return now.createRevision === old.createRevision && now.modRevision >= old.modRevision && now.version >= old.version;
}

/** One step that comes to the same as all of `steps`, for a reader that has seen everything before them. */
export function mergeSteps(steps: readonly MirrorStep[]): MirrorStep {
  const [only, ...others] = steps;
  // A long first list is too much for any buffer, and is one step already.
  if (only && others.length === 0) return only;
  const puts = new Map<string, KeyValue>();
  const deletes = new Map<string, KeyValue>();
  const fresh = new Set<string>();
  for (const step of steps) {
    for (const name of step.fresh) if (!deletes.has(name)) fresh.add(name);
    for (const kv of step.deletes) {
      const name = entryName(kv);
      puts.delete(name);
      // Made and deleted while the reader lagged: it never knew the key.
      if (!fresh.has(name) && !deletes.has(name)) deletes.set(name, kv);
    }
    for (const kv of step.puts) puts.set(entryName(kv), kv);
  }
  const snapshot = steps[0]?.type === "snapshot";
  return {
    type: snapshot ? "snapshot" : "resynced",
    revision: steps.at(-1)?.revision ?? 0,
    puts: [...puts.values()],
    deletes: snapshot ? [] : [...deletes.values()],
    fresh: new Set([...fresh].filter((name) => puts.has(name))),
  };
}
