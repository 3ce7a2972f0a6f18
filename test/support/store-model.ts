import type { KeyValue, WatchEvent } from "../../src/index.ts";
import { storedKeyValue } from "../../testing/fake-etcd/stored-key-value.ts";
import type { Seeded } from "./seeded.ts";

export type ModelOp =
  | { readonly type: "put"; readonly key: string; readonly value: string }
  | { readonly type: "delete"; readonly key: string };

/** What etcd would hold and report: the truth that watches and mirrors are compared with. */
export class StoreModel {
  /** By revision: what a watch must report of it. A delete of a key that is not there is no event. */
  readonly events = new Map<number, readonly WatchEvent[]>();
  #entries: ReadonlyMap<string, KeyValue> = new Map();
  readonly #states: { readonly revision: number; readonly entries: ReadonlyMap<string, KeyValue> }[] = [];

  get entries(): ReadonlyMap<string, KeyValue> {
    return this.#entries;
  }

  /** One txn, executed at `revision`. */
  execute(revision: number, ops: readonly ModelOp[]): readonly WatchEvent[] {
    const entries = new Map(this.#entries);
    const events: WatchEvent[] = [];
    for (const op of ops) {
      const previous = entries.get(op.key);
      const received = previous ? { previous } : {};
      if (op.type === "put") {
        const kv = keyValue(op.key, op.value, revision, previous);
        entries.set(op.key, kv);
        events.push({ type: "put", kv, ...received });
      } else if (previous) {
        entries.delete(op.key);
        events.push({ type: "delete", kv: tombstone(op.key, revision), ...received });
      }
    }
    this.#entries = entries;
    this.#states.push({ revision, entries });
    if (events.length > 0) this.events.set(revision, events);
    return events;
  }

  /** The entries as they were at `revision`. */
  at(revision: number): ReadonlyMap<string, KeyValue> {
    let low = 0;
    let high = this.#states.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#states[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#states[low - 1]?.entries ?? new Map();
  }
}

/** One to `most` operations on as many distinct keys: puts, and now and then a delete. */
export function randomOps(random: Seeded, keys: readonly string[], most: number): ModelOp[] {
  const chosen = new Set(Array.from({ length: random.between(1, most) }, () => random.pick(keys)));
  return [...chosen].map((key) =>
    random.chance(0.35) ? { type: "delete", key } : { type: "put", key, value: `v${random.between(0, 1e9)}` },
  );
}

function keyValue(key: string, value: string, revision: number, previous?: KeyValue): KeyValue {
  return storedKeyValue({
    keyBytes: Buffer.from(key),
    value: Buffer.from(value),
    createRevision: previous?.createRevision ?? revision,
    modRevision: revision,
    version: (previous?.version ?? 0) + 1,
  });
}

function tombstone(key: string, revision: number): KeyValue {
  const fields = { keyBytes: Buffer.from(key), value: Buffer.alloc(0), createRevision: 0, version: 0 };
  return storedKeyValue({ ...fields, modRevision: revision });
}
