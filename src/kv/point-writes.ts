import type { Protocol } from "../connection/index.ts";
import { ProtocolError } from "../errors/protocol-error.ts";
import type { Clock } from "../internal/clock.ts";
import { ServerLimits } from "../internal/server-limits.ts";
import type { CallOptions } from "../model/call-options.ts";
import type { KeyValue } from "../model/key-value.ts";
import type { DeleteOp, OpResult, PutOp } from "../model/op.ts";
import type { BatchedCalls } from "./batched-calls.ts";
import { Coalescer } from "./coalescer.ts";
import { keyText } from "./key-text.ts";

type Write = PutOp | DeleteOp;
type Written = { revision: number } & OpResult;

/**
 * Puts and deletes of single keys. Those that are made at the same time travel as one txn: they then share a revision,
 * so a watch gets them together. Two writes of one key never do, and are executed in the order of the calls.
 */
export class PointWrites {
  readonly #writes: Coalescer<Write, Written>;

  constructor(protocol: Protocol, clock: Clock, limits = new ServerLimits()) {
    const batching: BatchedCalls<Write, Written> = {
      name: "KV.put",
      clock,
      requestTimeoutMs: protocol.requestTimeoutMs,
      unreached: () => protocol.unreached,
      usedKeys: (write) => ({ written: [keyText(keyOf(write))], seen: [] }),
      method: ({ type }) => (type === "put" ? "Put" : "DeleteRange"),
      key: (write) => keyText(keyOf(write)),
      bytes: (write) => keyOf(write).length + (write.type === "put" ? write.value.length : 0),
      needsSpace: ({ type }) => type === "put",
      one: async (write, options): Promise<Written> => {
        if (write.type === "put") return { type: "put", ...(await protocol.put(write, options)) };
        return { type: "delete", ...(await protocol.deleteRange(write, options)) };
      },
      many: async (writes, options) => {
        const { revision, responses } = await protocol.txn({ compare: [], success: writes, failure: [] }, options);
        const answers = writes.map((write, index): Written => {
          const response = responses[index];
          if (response?.type !== write.type) {
            throw new ProtocolError("etcd answered a write with something else", { outcomeUnknown: true });
          }
          return { revision, ...response };
        });
        return { answers, large: [] };
      },
    };
    this.#writes = new Coalescer(batching, limits);
  }

  async put(put: PutOp, options: CallOptions): Promise<{ revision: number; previous?: KeyValue }> {
    const written = await this.#writes.add(put, options);
    const previous = written.type === "put" ? written.previous : undefined;
    return { revision: written.revision, ...(previous && { previous }) };
  }

  async delete(
    key: Uint8Array,
    previous: boolean | undefined,
    options: CallOptions,
  ): Promise<{ deleted: number; revision: number; previous: readonly KeyValue[] }> {
    const written = await this.#writes.add({ type: "delete", range: { start: key }, previous }, options);
    if (written.type !== "delete") throw new ProtocolError("etcd answered a delete with something else");
    return { revision: written.revision, deleted: written.deleted, previous: written.previous };
  }
}

function keyOf(write: Write): Uint8Array {
  return write.type === "put" ? write.key : write.range.start;
}
