import type { Protocol } from "../connection/index.ts";
import { FutureRevisionError } from "../errors/future-revision-error.ts";
import { RequestRefusedError } from "../errors/request-refused-error.ts";
import type { Clock } from "../internal/clock.ts";
import { sendInParts } from "../internal/send-in-parts.ts";
import { ServerLimits } from "../internal/server-limits.ts";
import { type Carrier, Coalescer } from "../kv/index.ts";
import type { CallOptions } from "../model/call-options.ts";
import { type KeyRange, rangeName } from "../model/key-range.ts";
import { type KeyValue, sameKeyValue } from "../model/key-value.ts";
import { rangeOp } from "../model/make-op.ts";
import type { Op, OpResult } from "../model/op.ts";

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

interface Proof {
  readonly range: KeyRange;
  readonly questions: readonly Question[];
}

interface Question {
  readonly op: Op;
  /** Of the question and of its answer: an entry comes back with its value. */
  readonly bytes: number;
  holds(kvs: readonly KeyValue[], total: number): boolean;
}

/**
 * Asks whether etcd's history is still the one that was followed. Those who ask at the same time, such as all watches of a
 * client after an outage, ask in one txn.
 */
export class HistoryProofs {
  readonly #proofs: Coalescer<Proof, boolean>;

  constructor(protocol: Protocol, clock: Clock, limits = new ServerLimits()) {
    const ask = async (questions: readonly Question[], options: CallOptions) =>
      (await protocol.txn({ compare: [], success: questions.map(({ op }) => op), failure: [] }, options)).responses;
    // All are read at one revision, so it does not matter when: a server that takes few operations gets few at a time.
    const askInHalves = async (questions: readonly Question[], options: CallOptions) => {
      const responses = new Map<Question, OpResult>();
      await sendInParts(questions, {
        limits,
        splits: (error) => error instanceof RequestRefusedError,
        sizeOf: ({ bytes }) => ({ nested: 0, bytes }),
        send: async (part) => {
          for (const [index, response] of (await ask(part, options)).entries()) {
            responses.set(part[index] as Question, response);
          }
        },
        failed: (_, error) => {
          throw error;
        },
      });
      return questions.map((question) => responses.get(question) as OpResult);
    };
    const carrier: Carrier<Proof, boolean> = {
      name: "KV.txn",
      clock,
      requestTimeoutMs: protocol.requestTimeoutMs,
      key: ({ range }) => rangeName(range),
      bytes: ({ questions }) => questions.reduce((sum, { bytes }) => sum + bytes, 0),
      operations: ({ questions }) => questions.length,
      one: async ({ questions }, options) => {
        try {
          return allHold(questions, await askInHalves(questions, options));
        } catch (error) {
          if (error instanceof FutureRevisionError) return false;
          throw error;
        }
      },
      many: async (proofs, options) => {
        const responses = await ask(
          proofs.flatMap(({ questions }) => questions),
          options,
        );
        let first = 0;
        const answers = proofs.map(({ questions }) => {
          const own = responses.slice(first, first + questions.length);
          first += questions.length;
          return allHold(questions, own);
        });
        return { answers, large: [] };
      },
    };
    this.#proofs = new Coalescer(carrier, limits);
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
  async hold(range: KeyRange, evidence: HistoryEvidence, options: CallOptions): Promise<boolean> {
    return this.#proofs.add({ range, questions: questionsOf(range, evidence) }, options);
  }
}

function questionsOf(range: KeyRange, { revision, entry, missing, count }: HistoryEvidence): Question[] {
  const rangeBytes = range.start.length + (range.end?.length ?? 0);
  const questions: Question[] = [
    {
      op: rangeOp(range, { revision, countOnly: true }),
      bytes: rangeBytes,
      holds: (_, total) => count === undefined || total === count,
    },
  ];
  if (entry) {
    questions.push({
      op: rangeOp(entry.keyBytes, { revision }),
      bytes: 2 * entry.keyBytes.length + entry.value.length,
      holds: ([kv]) => kv !== undefined && sameKeyValue(kv, entry),
    });
  }
  if (missing) {
    questions.push({
      op: rangeOp(missing, { revision, countOnly: true }),
      bytes: missing.length,
      holds: (_, total) => total === 0,
    });
  }
  return questions;
}

function allHold(questions: readonly Question[], responses: readonly OpResult[]): boolean {
  return questions.every(({ holds }, index) => {
    const answer = responses[index];
    return answer?.type === "range" && holds(answer.kvs, answer.count);
  });
}
