import {
  type CallOptions,
  type EtcdClient,
  type Op,
  RequestRefusedError,
  type TxnAnswer,
  type TxnOptions,
  txnOp,
} from "../../src/index.ts";
import { abortable, type Deferred, quietDeferred, setImmediate } from "../../src/internal/index.ts";

/** etcd takes 128 operations: so many nested txns, with at most three operations in each. */
const MOST_IN_A_BATCH = 120;
/** etcd takes 1.5 MiB in one request. */
const MOST_BYTES = 1_000_000;

interface Waiting {
  readonly request: TxnOptions;
  readonly timeoutMs: number | undefined;
  readonly answer: Deferred<TxnAnswer>;
}

/**
 * Sends what is asked for in one turn of the event loop as one txn of nested ones: a worker that does several jobs at once
 * claims and acknowledges them together. Each has its own compares and its own answer. Only for txns that never write the
 * same key.
 */
export class TxnBatch implements Pick<EtcdClient, "txn"> {
  readonly #etcd: Pick<EtcdClient, "txn">;
  #waiting: Waiting[] = [];

  constructor(etcd: Pick<EtcdClient, "txn">) {
    this.#etcd = etcd;
  }

  txn(request: TxnOptions, { signal, timeoutMs }: CallOptions = {}): Promise<TxnAnswer> {
    const answer = quietDeferred<TxnAnswer>();
    this.#waiting.push({ request, timeoutMs, answer });
    if (this.#waiting.length === 1) setImmediate(() => this.#sendAll());
    return abortable(answer.promise, signal);
  }

  #sendAll(): void {
    const all = this.#waiting;
    this.#waiting = [];
    let batch: Waiting[] = [];
    let bytes = 0;
    for (const waiting of all) {
      const size = sizeOf(waiting.request.success ?? []);
      if (batch.length === MOST_IN_A_BATCH || (batch.length > 0 && bytes + size > MOST_BYTES)) {
        void this.#send(batch);
        batch = [];
        bytes = 0;
      }
      batch.push(waiting);
      bytes += size;
    }
    void this.#send(batch);
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    const [first] = batch;
    const timeoutMs = batch.reduce<number | undefined>((least, { timeoutMs: own }) => smaller(least, own), undefined);
    try {
      if (first && batch.length === 1) {
        first.answer.resolve(await this.#etcd.txn(first.request, { timeoutMs }));
        return;
      }
      const success = batch.map(({ request }) => txnOp(request as Parameters<typeof txnOp>[0]));
      const { revision, responses } = await this.#etcd.txn({ success }, { timeoutMs });
      for (const [index, { answer }] of batch.entries()) {
        const response = responses[index];
        if (response?.type === "txn") {
          answer.resolve({ succeeded: response.succeeded, revision, responses: response.responses });
        } else answer.reject(new TypeError("a nested txn was answered by something else"));
      }
    } catch (error) {
      // Nothing of it was done, and maybe only one of them is to blame.
      if (error instanceof RequestRefusedError && batch.length > 1) {
        for (const waiting of batch) void this.#send([waiting]);
      } else for (const { answer } of batch) answer.reject(error);
    }
  }
}

function sizeOf(ops: readonly Op[]): number {
  return ops.reduce((sum, op) => sum + (op.type === "put" ? op.key.length + op.value.length : 0), 0);
}

function smaller(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}
