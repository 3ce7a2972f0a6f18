import type { KeyValue } from "../../src/model/key-value.ts";
import type { LeaseId } from "../../src/model/lease-id.ts";
import type { WatchEvent } from "../../src/model/watch-event.ts";
import { KeyHistory } from "./key-history.ts";
import { isWithin, type KeyText, keyBytes, keyText, type TextRange } from "./key-text.ts";
import { refuse } from "./refusal.ts";
import { storedKeyValue } from "./stored-key-value.ts";

/** What one revision changed; `key` says where, without a look into the bytes. */
export interface Change {
  readonly key: KeyText;
  readonly type: WatchEvent["type"];
  readonly kv: KeyValue;
  readonly before: KeyValue | undefined;
}

export interface Revision {
  readonly revision: number;
  readonly changes: readonly Change[];
}

/** What a write may do to the keys. All of it happens at one revision. */
export interface Writer {
  put(key: KeyText, value: Uint8Array, lease?: LeaseId): KeyValue | undefined;
  /** @returns what was deleted, in the order of keys */
  delete(range: TextRange): KeyValue[];
}

/** Keys with all their revisions, as etcd's store has them. */
export class KeyStore {
  readonly #histories = new Map<KeyText, KeyHistory>();
  /** Every key that has a history, in order. */
  readonly #keys: KeyText[] = [];
  #revision = 1;
  #compactRevision = 0;
  #log: Revision[] = [];
  readonly #onRevision: (revision: Revision) => void;

  /** @param onRevision called with each revision once it is complete */
  constructor(onRevision: (revision: Revision) => void) {
    this.#onRevision = onRevision;
  }

  get revision(): number {
    return this.#revision;
  }

  /** What is older cannot be read any more. */
  get compactRevision(): number {
    return this.#compactRevision;
  }

  get(key: KeyText): KeyValue | undefined {
    return this.#histories.get(key)?.now;
  }

  /**
   * The keys of a range as they are now, the changes of a write that goes on included; or as they were at `revision`.
   */
  range(range: TextRange, revision?: number): KeyValue[] {
    const found: KeyValue[] = [];
    for (const key of this.#keysOf(range)) {
      const history = this.#histories.get(key);
      const kv = revision === undefined ? history?.now : history?.at(revision);
      if (kv) found.push(kv);
    }
    return found;
  }

  /** @throws GrpcFailure when the state at this revision cannot be read */
  checkRevision(revision: number): void {
    if (revision > this.#revision) throw refuse("futureRevision");
    if (revision < this.#compactRevision) throw refuse("compacted");
  }

  /** Makes a new revision of whatever `work` changes; none if it changes nothing. */
  write<T>(work: (writer: Writer) => T): T {
    const revision = this.#revision + 1;
    const changes: Change[] = [];
    const result = work({
      put: (key, value, lease) => {
        const change = this.#put(key, value, lease, revision);
        changes.push(change);
        return change.before;
      },
      delete: (range) => {
        const before = this.range(range);
        for (const kv of before) changes.push(this.#delete(kv, revision));
        return before;
      },
    });
    if (changes.length > 0) {
      this.#revision = revision;
      this.#log.push({ revision, changes });
      this.#onRevision({ revision, changes });
    }
    return result;
  }

  /** What was changed from `first` on, the oldest first. */
  changesSince(first: number): readonly Revision[] {
    const oldest = this.#log[0]?.revision ?? first;
    return this.#log.slice(Math.max(0, first - oldest));
  }

  compact(revision: number): void {
    if (revision <= this.#compactRevision) throw refuse("compacted");
    if (revision > this.#revision) throw refuse("futureRevision");
    this.#compactRevision = revision;
    this.#log = this.#log.filter((entry) => entry.revision >= revision);
    this.#keepKeys((history) => history.compact(revision));
  }

  /** As if it had never been written to. */
  wipe(): void {
    this.#revision = 1;
    this.#compactRevision = 0;
    this.#log = [];
    this.#histories.clear();
    this.#keys.length = 0;
  }

  /** As a snapshot of that revision would bring it back: what came later never was. */
  restore(revision: number): void {
    this.#revision = revision;
    this.#compactRevision = Math.min(this.#compactRevision, revision);
    this.#log = this.#log.filter((entry) => entry.revision <= revision);
    this.#keepKeys((history) => history.restore(revision));
  }

  #keepKeys(keeps: (history: KeyHistory) => boolean): void {
    for (const [key, history] of this.#histories) {
      if (keeps(history)) continue;
      this.#histories.delete(key);
      this.#keys.splice(this.#placeOf(key), 1);
    }
  }

  #put(key: KeyText, value: Uint8Array, lease: LeaseId | undefined, revision: number): Change {
    const history = this.#historyOf(key);
    const before = history.now;
    const createRevision = before?.createRevision ?? revision;
    const version = (before?.version ?? 0) + 1;
    const kv = storedKeyValue({
      keyBytes: keyBytes(key),
      value,
      createRevision,
      modRevision: revision,
      version,
      lease,
    });
    history.change(revision, kv);
    return { key, type: "put", kv, before };
  }

  #delete(before: KeyValue, revision: number): Change {
    const bytes = before.keyBytes;
    const key = keyText(bytes);
    this.#histories.get(key)?.change(revision, undefined);
    const gone = { value: new Uint8Array(), createRevision: 0, modRevision: revision, version: 0 };
    return { key, type: "delete", kv: storedKeyValue({ keyBytes: bytes, ...gone }), before };
  }

  #historyOf(key: KeyText): KeyHistory {
    const known = this.#histories.get(key);
    if (known) return known;
    const history = new KeyHistory();
    this.#histories.set(key, history);
    this.#keys.splice(this.#placeOf(key), 0, key);
    return history;
  }

  *#keysOf(range: TextRange): Generator<KeyText> {
    if (range.end === undefined) {
      yield range.start;
      return;
    }
    for (let place = this.#placeOf(range.start); place < this.#keys.length; place++) {
      const key = this.#keys[place] as KeyText;
      if (!isWithin(range, key)) return;
      yield key;
    }
  }

  /** Where a key stands, or would stand. */
  #placeOf(key: KeyText): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#keys[middle] as KeyText) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
