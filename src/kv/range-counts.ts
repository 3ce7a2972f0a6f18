import type { Protocol } from "../connection/index.ts";
import { ProtocolError } from "../errors/protocol-error.ts";
import type { Clock } from "../internal/clock.ts";
import { ServerLimits } from "../internal/server-limits.ts";
import type { CallOptions } from "../model/call-options.ts";
import { type KeyRange, rangeName } from "../model/key-range.ts";
import type { BatchedCalls } from "./batched-calls.ts";
import { Coalescer } from "./coalescer.ts";

/** How many keys a range had, and when. */
export interface RangeCount {
  readonly count: number;
  readonly revision: number;
}

/**
 * Counts ranges at the newest revision. Those that are asked for at the same time travel as one read-only txn, as point
 * reads do.
 */
export class RangeCounts {
  readonly #counts: Coalescer<KeyRange, RangeCount>;

  constructor(protocol: Protocol, clock: Clock, limits = new ServerLimits()) {
    const batching: BatchedCalls<KeyRange, RangeCount> = {
      name: "KV.range",
      clock,
      requestTimeoutMs: protocol.requestTimeoutMs,
      key: rangeName,
      bytes: ({ start, end }) => start.length + (end?.length ?? 0),
      one: async (range, options) => {
        const { count, revision } = await protocol.range({ range, countOnly: true }, options);
        return { count, revision };
      },
      many: async (ranges, options) => {
        const success = ranges.map((range) => ({ type: "range", range, countOnly: true }) as const);
        const { responses, revision } = await protocol.txn({ compare: [], success, failure: [] }, options);
        const answers = ranges.map((_, index) => {
          const response = responses[index];
          if (response?.type !== "range") throw new ProtocolError("etcd answered a count with something else");
          return { count: response.count, revision };
        });
        return { answers, large: [] };
      },
    };
    this.#counts = new Coalescer(batching, limits);
  }

  of(range: KeyRange, options: CallOptions): Promise<RangeCount> {
    return this.#counts.add(range, options);
  }
}
