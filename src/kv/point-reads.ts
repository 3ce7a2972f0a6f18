import type { Protocol } from "../connection/index.ts";
import { ProtocolError } from "../errors/protocol-error.ts";
import type { Clock } from "../internal/clock.ts";
import { ServerLimits } from "../internal/server-limits.ts";
import type { CallOptions } from "../model/call-options.ts";
import type { KeyValue } from "../model/key-value.ts";
import type { RangeOp } from "../model/op.ts";
import type { BatchedCalls } from "./batched-calls.ts";
import { Coalescer } from "./coalescer.ts";
import { keyText } from "./key-text.ts";

/** An answer above this has keys in it that keep the others waiting: those go alone from then on. */
const LARGE_ANSWER_BYTES = 4 * 1024 * 1024;
const LARGE_VALUE_BYTES = 32 * 1024;

/** A key as it was at a revision; `kv` is undefined where there was none. */
export interface PointRead {
  readonly kv: KeyValue | undefined;
  readonly revision: number;
}

/**
 * Reads of single keys at the newest revision. Those that are made at the same time travel as one read-only txn, which
 * is as linearizable as each alone (etcd v3 API, "Transaction": a txn without writes takes the path of a linearizable
 * read).
 */
export class PointReads {
  readonly #linearizable: Coalescer<RangeOp, PointRead>;
  /** Apart: one linearizable read in a txn makes all of it wait for the leader. */
  readonly #serializable: Coalescer<RangeOp, PointRead>;

  constructor(protocol: Protocol, clock: Clock, limits = new ServerLimits()) {
    this.#linearizable = coalescer(protocol, clock, limits);
    this.#serializable = coalescer(protocol, clock, limits);
  }

  get(start: Uint8Array, serializable: boolean | undefined, options: CallOptions): Promise<PointRead> {
    const reads = serializable ? this.#serializable : this.#linearizable;
    return reads.add({ type: "range", range: { start }, serializable }, options);
  }
}

function coalescer(protocol: Protocol, clock: Clock, limits: ServerLimits): Coalescer<RangeOp, PointRead> {
  const batching: BatchedCalls<RangeOp, PointRead> = {
    name: "KV.range",
    clock,
    requestTimeoutMs: protocol.requestTimeoutMs,
    unreached: () => protocol.unreached,
    method: () => "Range",
    key: ({ range }) => keyText(range.start),
    bytes: ({ range }) => range.start.length,
    one: async (read, options) => {
      const { kvs, revision } = await protocol.range(read, options);
      return { kv: kvs[0], revision };
    },
    many: async (reads, options) => {
      const { responses, revision } = await protocol.txn({ compare: [], success: reads, failure: [] }, options);
      const answers = reads.map((_, index) => {
        const response = responses[index];
        if (response?.type !== "range") throw new ProtocolError("etcd answered a read with something else");
        return { kv: response.kvs[0], revision };
      });
      return { answers, large: largeOnes(reads, answers) };
    },
  };
  return new Coalescer(batching, limits);
}

function largeOnes(reads: readonly RangeOp[], answers: readonly PointRead[]): RangeOp[] {
  let bytes = 0;
  for (const { kv } of answers) bytes += kv?.value.length ?? 0;
  if (bytes <= LARGE_ANSWER_BYTES) return [];
  return reads.filter((_, index) => (answers[index]?.kv?.value.length ?? 0) > LARGE_VALUE_BYTES);
}
