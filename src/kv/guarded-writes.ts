import type { Protocol } from "../connection/index.ts";
import { ProtocolError } from "../errors/protocol-error.ts";
import type { Clock } from "../internal/clock.ts";
import { ServerLimits } from "../internal/server-limits.ts";
import type { CallOptions } from "../model/call-options.ts";
import type { BatchedCalls } from "./batched-calls.ts";
import { Coalescer } from "./coalescer.ts";
import type { GuardedStep } from "./guarded-step.ts";

type Answer = Awaited<ReturnType<Protocol["txn"]>>;

/**
 * Txns that write. Those that are made at the same time travel as one, in which each is a txn with its own compares and
 * its own answer; what they write has one revision. Two of which one writes a key that the other writes, compares or
 * reads never do, and are executed in the order of the calls.
 *
 * Only for callers that ask for it: an etcd before 3.4.42, 3.5.28 and 3.6.9 checks no permission in nested txns.
 */
export class GuardedWrites {
  readonly #steps: Coalescer<GuardedStep, Answer>;

  constructor(protocol: Protocol, clock: Clock, limits = new ServerLimits()) {
    const batching: BatchedCalls<GuardedStep, Answer> = {
      name: "KV.txn",
      clock,
      requestTimeoutMs: protocol.requestTimeoutMs,
      unreached: () => protocol.unreached,
      usedKeys: ({ keys }) => keys,
      method: () => "Txn",
      key: ({ keys }) => keys.written[0] as string,
      bytes: ({ size }) => size.bytes,
      nested: ({ size }) => size.nested,
      one: ({ txn }, options) => protocol.txn(txn, options),
      many: async (steps, options) => {
        const success = steps.map(({ txn }) => txn);
        const { revision, responses } = await protocol.txn({ compare: [], success, failure: [] }, options);
        const answers = steps.map((_, index): Answer => {
          const response = responses[index];
          if (response?.type === "txn") return { ...response, revision };
          throw new ProtocolError("etcd answered a nested txn with something else", { outcomeUnknown: true });
        });
        return { answers, large: [] };
      },
    };
    this.#steps = new Coalescer(batching, limits);
  }

  txn(step: GuardedStep, options: CallOptions): Promise<Answer> {
    return this.#steps.add(step, options);
  }
}
