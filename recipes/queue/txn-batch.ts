import { type CallOptions, type EtcdClient, type TxnAnswer, type TxnOptions, txnOp } from "../../src/index.ts";
import {
  abortable,
  type Deferred,
  nestedSize,
  type PartSize,
  quietDeferred,
  ServerLimits,
  sendInParts,
  setImmediate,
  TxnRoom,
} from "../../src/internal/index.ts";

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
  readonly #limits: ServerLimits;
  #waiting: Waiting[] = [];

  constructor(etcd: Pick<EtcdClient, "txn">) {
    this.#etcd = etcd;
    this.#limits = ServerLimits.of(etcd);
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
    for (let next = 0; next < all.length; ) {
      const room = new TxnRoom(this.#limits);
      const first = next;
      while (next < all.length && room.take(sizeOf(all[next] as Waiting))) next++;
      void this.#sendBatch(all.slice(first, next));
    }
  }

  async #sendBatch(batch: readonly Waiting[]): Promise<void> {
    await sendInParts(batch, {
      limits: this.#limits,
      sizeOf,
      send: (part) => this.#send(part),
      failed: (part, error) => {
        for (const { answer } of part) answer.reject(error);
      },
    });
  }

  async #send(batch: readonly Waiting[]): Promise<void> {
    const [first] = batch;
    const timeoutMs = batch.reduce<number | undefined>((least, { timeoutMs: own }) => smaller(least, own), undefined);
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
  }
}

function sizeOf({ request }: Waiting): PartSize {
  return nestedSize(request);
}

function smaller(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}
