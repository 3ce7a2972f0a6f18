import { compareModRevision, deleteOp, type EtcdClient, EtcdError, putOp } from "../../src/index.ts";
import { type ModelOp, StoreModel } from "./store-model.ts";

/**
 * Writes txns and knows for certain at which revision each was executed, or that it was not, whatever happens to etcd:
 * all of them move one fence key, so a txn whose answer was lost cannot be executed once the fence has moved on.
 */
export class FencedWriter {
  readonly truth = new StoreModel();
  readonly fence: string;
  readonly #etcd: EtcdClient;
  #fenceRevision = 0;
  #count = 0;

  constructor(etcd: EtcdClient, fence: string) {
    this.#etcd = etcd;
    this.fence = fence;
  }

  /** @returns the revision at which it was executed; undefined when it was not */
  async execute(ops: readonly ModelOp[]): Promise<number | undefined> {
    const fenced: ModelOp[] = [{ type: "put", key: this.fence, value: `txn ${++this.#count}` }, ...ops];
    try {
      const { succeeded, revision } = await this.#etcd.txn(
        {
          compare: [compareModRevision(this.fence, "equal", this.#fenceRevision)],
          success: fenced.map((op) => (op.type === "put" ? putOp(op.key, op.value) : deleteOp(op.key))),
        },
        { timeoutMs: 2_000 },
      );
      if (!succeeded) throw new Error("another writer moved the fence");
      return this.#executed(revision, fenced);
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      return this.#settle(fenced);
    }
  }

  #executed(revision: number, ops: readonly ModelOp[]): number {
    this.#fenceRevision = revision;
    this.truth.execute(revision, ops);
    return revision;
  }

  /** Moves the fence on, again and again until that is certain, and finds out what came before it. */
  async #settle(doubtful: readonly ModelOp[]): Promise<number | undefined> {
    const fence = doubtful[0] as ModelOp & { type: "put" };
    const pending: { readonly value: string; readonly ops: readonly ModelOp[] }[] = [
      { value: fence.value, ops: doubtful },
    ];
    for (;;) {
      try {
        const now = await this.#etcd.get(this.fence, { timeoutMs: 2_000 });
        const revision = now?.modRevision ?? 0;
        if (revision !== this.#fenceRevision) {
          const executed = pending.find(({ value }) => value === now?.text);
          if (!executed) throw new Error(`the fence holds ${now?.text}, which no writer wrote`);
          this.#executed(revision, executed.ops);
          return executed.ops === doubtful ? revision : undefined;
        }
        const ops: ModelOp[] = [{ type: "put", key: this.fence, value: `settled ${++this.#count}` }];
        pending.push({ value: `settled ${this.#count}`, ops });
        const moved = await this.#etcd.txn(
          {
            compare: [compareModRevision(this.fence, "equal", this.#fenceRevision)],
            success: [putOp(this.fence, `settled ${this.#count}`)],
          },
          { timeoutMs: 2_000 },
        );
        if (!moved.succeeded) continue;
        this.#executed(moved.revision, ops);
        return undefined;
      } catch (error) {
        if (!(error instanceof EtcdError)) throw error;
      }
    }
  }
}
