import type { Protocol } from "../connection/index.ts";
import { CompactedError } from "../errors/compacted-error.ts";
import { FutureRevisionError } from "../errors/future-revision-error.ts";
import { RequestRefusedError } from "../errors/request-refused-error.ts";
import type { Clock } from "../internal/clock.ts";
import { sendInParts } from "../internal/send-in-parts.ts";
import { ServerLimits } from "../internal/server-limits.ts";
import { type BatchedCalls, Coalescer } from "../kv/index.ts";
import type { CallOptions } from "../model/call-options.ts";
import { type KeyRange, rangeName } from "../model/key-range.ts";
import type { OpResult } from "../model/op.ts";
import { type HistoryEvidence, type Question, questionsOf } from "./history-evidence.ts";

interface Proof {
  readonly range: KeyRange;
  readonly questions: readonly Question[];
}

type Answers = ReadonlyMap<Question, OpResult>;

/**
 * Asks whether etcd's history is still the one that was followed. Those who ask at the same time, such as all watches
 * of a client after an outage, ask in one txn.
 */
export class HistoryProofs {
  readonly #proofs: Coalescer<Proof, boolean>;

  constructor(protocol: Protocol, clock: Clock, limits = new ServerLimits()) {
    const ask = async (questions: readonly Question[], options: CallOptions): Promise<Answers> => {
      const success = questions.map(({ op }) => op);
      const { responses } = await protocol.txn({ compare: [], success, failure: [] }, options);
      return new Map(questions.map((question, index) => [question, responses[index] as OpResult]));
    };
    // Each reads at a revision of its own, so it does not matter when: a server that takes few operations gets few at a
    // time.
    const askInHalves = async (questions: readonly Question[], options: CallOptions): Promise<Answers> => {
      const answers = new Map<Question, OpResult>();
      await sendInParts(questions, {
        limits,
        splits: (error) => error instanceof RequestRefusedError,
        sizeOf: ({ bytes }) => ({ nested: 0, bytes }),
        send: async (part) => {
          for (const [question, answer] of await ask(part, options)) answers.set(question, answer);
        },
        failed: (_, error) => {
          throw error;
        },
      });
      return answers;
    };
    const batching: BatchedCalls<Proof, boolean> = {
      name: "KV.txn",
      clock,
      requestTimeoutMs: protocol.requestTimeoutMs,
      key: ({ range }) => rangeName(range),
      bytes: ({ questions }) => questions.reduce((sum, { bytes }) => sum + bytes, 0),
      operations: ({ questions }) => questions.length,
      one: async ({ questions }, options) => {
        try {
          return allHold(questions, await withoutCompacted(questions, (asked) => askInHalves(asked, options)));
        } catch (error) {
          if (error instanceof FutureRevisionError) return false;
          throw error;
        }
      },
      many: async (proofs, options) => {
        const all = proofs.flatMap(({ questions }) => questions);
        const answers = await withoutCompacted(all, (asked) => ask(asked, options));
        return { answers: proofs.map(({ questions }) => allHold(questions, answers)), large: [] };
      },
    };
    this.#proofs = new Coalescer(batching, limits);
  }

  /**
   * Whether etcd's history at `evidence.revision` is the one that the evidence is from. An etcd that was wiped or
   * restored keeps its ids and may have passed the revision meanwhile, so neither ids nor revision numbers prove
   * anything (HARDSHIPS 5). One linearizable txn; what must be true is read at the revision itself, where an entry
   * that is still alive shows its modRevision, so a compaction below it does no harm.
   *
   * Where `evidence.whole` is given, the state is proved. Otherwise it is a sample: another history passes in which the
   * entries that changed last, the deletions and the number of keys are the same.
   *
   * @returns false when the history is another one
   * @throws CompactedError when the revision is compacted away, so that nothing can be proved
   */
  async hold(range: KeyRange, evidence: HistoryEvidence, options: CallOptions): Promise<boolean> {
    return this.#proofs.add({ range, questions: questionsOf(range, evidence) }, options);
  }
}

/** Asks again without what reads below the revision that was reached, if that may be why it was refused. */
async function withoutCompacted(
  questions: readonly Question[],
  ask: (questions: readonly Question[]) => Promise<Answers>,
): Promise<Answers> {
  try {
    return await ask(questions);
  } catch (error) {
    const readable = questions.filter(({ below }) => !below);
    if (!(error instanceof CompactedError) || readable.length === questions.length) throw error;
    return ask(readable);
  }
}

/** What was left out says nothing. */
function allHold(questions: readonly Question[], answers: Answers): boolean {
  return questions.every((question) => {
    const answer = answers.get(question);
    if (!answer) return question.below;
    return answer.type === "range" && question.holds(answer.kvs, answer.count);
  });
}
