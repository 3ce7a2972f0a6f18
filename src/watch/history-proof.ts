import type { Protocol } from "../connection/index.ts";
import { FutureRevisionError } from "../errors/future-revision-error.ts";
import type { CallOptions } from "../model/call-options.ts";
import type { KeyRange } from "../model/key-range.ts";
import { type KeyValue, sameKeyValue } from "../model/key-value.ts";
import { type Op, rangeOp } from "../model/op.ts";

/** What must be true of etcd's history if it is still the one that was followed up to `revision`. */
export interface HistoryEvidence {
  readonly revision: number;
  /** A key that had exactly this state at `revision`. */
  readonly entry?: KeyValue | undefined;
  /** A key that did not exist at `revision`. */
  readonly missing?: Uint8Array | undefined;
  /** How many keys the range held at `revision`. */
  readonly count?: number | undefined;
}

/**
 * Whether etcd's history at `evidence.revision` is the one that the evidence is from. An etcd that was wiped or restored
 * keeps its ids and may have passed the revision meanwhile, so neither ids nor revision numbers prove anything
 * (HARDSHIPS 5). One linearizable txn; all of it is read at the revision itself, where an entry that is still alive shows
 * its modRevision, so a compaction below it does no harm.
 *
 * @returns false when the history is another one
 * @throws CompactedError when the revision is compacted away, so that nothing can be proved
 */
export async function historyHolds(
  protocol: Protocol,
  range: KeyRange,
  evidence: HistoryEvidence,
  call?: CallOptions,
): Promise<boolean> {
  const { revision, entry, missing, count } = evidence;
  const questions: { op: Op; holds: (kvs: readonly KeyValue[], total: number) => boolean }[] = [
    { op: rangeOp(range, { revision, countOnly: true }), holds: (_, total) => count === undefined || total === count },
  ];
  if (entry) {
    const holds = ([kv]: readonly KeyValue[]) => kv !== undefined && sameKeyValue(kv, entry);
    questions.push({ op: rangeOp(entry.keyBytes, { revision }), holds });
  }
  if (missing) {
    questions.push({ op: rangeOp(missing, { revision, countOnly: true }), holds: (_, total) => total === 0 });
  }
  try {
    const { responses } = await protocol.txn(
      { compare: [], success: questions.map(({ op }) => op), failure: [] },
      call,
    );
    return questions.every(({ holds }, index) => {
      const answer = responses[index];
      return answer?.type === "range" && holds(answer.kvs, answer.count);
    });
  } catch (error) {
    if (error instanceof FutureRevisionError) return false;
    throw error;
  }
}
