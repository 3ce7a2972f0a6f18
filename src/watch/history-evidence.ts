import type { KeyMark } from "../internal/key-feeds.ts";
import type { KeyRange } from "../model/key-range.ts";
import { type KeyValue, StoredKeyValue, sameKeyState, sameKeyValue } from "../model/key-value.ts";
import { rangeOp } from "../model/make-op.ts";
import type { Op } from "../model/op.ts";
import type { WatchEvent } from "../model/watch-event.ts";
import { entryName } from "./mirror-batch.ts";
import type { Deletion } from "./recent-deletions.ts";

/** Longer values are asked for of the newest entry only. */
const SHORT_VALUE_BYTES = 1024;

/** What must be true of etcd's history if it is still the one that was followed up to `revision`. */
export interface HistoryEvidence {
  readonly revision: number;
  /**
   * All that the range held at `revision`, where that is little: it proves the state, and nothing else is asked but
   * deletions.
   */
  readonly whole?: readonly KeyValue[] | undefined;
  /** Of a range of one key: what it was like at `revision`; undefined: not there. Nothing else is asked. */
  readonly only?: { readonly mark: KeyMark | undefined } | undefined;
  /** How many keys the range held at `revision`. */
  readonly count?: number | undefined;
  /** The key that was put last and had exactly this state at `revision`. */
  readonly newest?: KeyValue | undefined;
  /** Others that had this state at `revision`. */
  readonly others?: readonly KeyValue[] | undefined;
  /**
   * Keys that did not exist at `revision`; of the first it is also asked whether it went when it is known to have
   * gone.
   */
  readonly deleted?: readonly Deletion[] | undefined;
  /** What happened at the revision of each of them, whatever came later; none after `revision`. */
  readonly events?: readonly WatchEvent[] | undefined;
}

/** One operation of the txn that proves a history. */
export interface Question {
  readonly op: Op;
  /** Of the question and of its answer: an entry comes back with its value. */
  readonly bytes: number;
  /** It reads below the revision that was reached, which may be compacted: then it proves nothing, and is left out. */
  readonly below: boolean;
  holds(kvs: readonly KeyValue[], count: number): boolean;
}

export function questionsOf(range: KeyRange, evidence: HistoryEvidence): Question[] {
  if (evidence.only) return [isOnly(range, evidence.revision, evidence.only.mark)];
  const { revision, whole, count, newest, others = [], deleted = [], events = [] } = evidence;
  const rangeBytes = range.start.length + (range.end?.length ?? 0);
  const questions: Question[] = [];
  if (whole) {
    const known = new Map(whole.map((kv) => [entryName(kv), kv]));
    const same = (kv: KeyValue) => {
      const old = known.get(entryName(kv));
      return old !== undefined && sameKeyValue(old, kv);
    };
    questions.push({
      // One more than there may be, so that an answer is never long.
      op: rangeOp(range, { revision, limit: whole.length + 1 }),
      bytes: rangeBytes + whole.reduce((sum, kv) => sum + kv.key.length + StoredKeyValue.lengthOf(kv) + 32, 0),
      below: false,
      holds: (kvs) => kvs.length === whole.length && kvs.every(same),
    });
  } else {
    questions.push({
      op: rangeOp(range, { revision, countOnly: true }),
      bytes: rangeBytes,
      below: false,
      holds: (_, total) => count === undefined || total === count,
    });
    if (newest) questions.push(stands(newest, revision, false));
    for (const kv of others) questions.push(stands(kv, revision, StoredKeyValue.lengthOf(kv) > SHORT_VALUE_BYTES));
    for (const { keyBytes } of deleted) questions.push(exists(keyBytes, revision, 0, false));
  }
  const [last] = deleted;
  if (last?.revision !== undefined && last.revision > 1) {
    questions.push(exists(last.keyBytes, last.revision - 1, 1, true));
    if (last.revision < revision) questions.push(exists(last.keyBytes, last.revision, 0, true));
  }
  for (const event of events) questions.push(...happened(event, revision));
  return questions;
}

function isOnly(range: KeyRange, revision: number, mark: KeyMark | undefined): Question {
  return {
    op: rangeOp(range, { revision, keysOnly: true }),
    bytes: 2 * range.start.length,
    below: false,
    holds: ([kv]) => (kv && mark ? sameMark(kv, mark) : kv === mark),
  };
}

function sameMark(a: KeyMark, b: KeyMark): boolean {
  return (
    a.modRevision === b.modRevision &&
    a.createRevision === b.createRevision &&
    a.version === b.version &&
    a.lease === b.lease
  );
}

function happened({ type, kv }: WatchEvent, reached: number): Question[] {
  const { keyBytes, modRevision } = kv;
  const below = modRevision < reached;
  if (type === "put") {
    return [{ ...stands(kv, modRevision, StoredKeyValue.lengthOf(kv) > SHORT_VALUE_BYTES), below }];
  }
  const gone = exists(keyBytes, modRevision, 0, below);
  return modRevision > 1 ? [exists(keyBytes, modRevision - 1, 1, true), gone] : [gone];
}

function stands(known: KeyValue, revision: number, keysOnly: boolean): Question {
  const { keyBytes } = known;
  const same = keysOnly ? sameKeyState : sameKeyValue;
  return {
    op: rangeOp(keyBytes, { revision, keysOnly }),
    bytes: 2 * keyBytes.length + (keysOnly ? 0 : StoredKeyValue.lengthOf(known)),
    below: false,
    holds: ([kv]) => kv !== undefined && same(kv, known),
  };
}

function exists(keyBytes: Uint8Array, revision: number, count: 0 | 1, below: boolean): Question {
  return {
    op: rangeOp(keyBytes, { revision, countOnly: true }),
    bytes: keyBytes.length,
    below,
    holds: (_, total) => total === count,
  };
}
