import {
  type CallOptions,
  compareModRevision,
  deleteOp,
  type EtcdClient,
  getOp,
  type KeyValue,
  type Lease,
  type LeaseId,
  LeaseNotFoundError,
  type Op,
  type OpResult,
  PermissionDeniedError,
  putOp,
  RequestRefusedError,
  txnOp,
} from "../../src/index.ts";
import { Backoff, queueMicrotask, type Runtime, type Timer } from "../../src/internal/index.ts";
import { asError, isMendable } from "../common/index.ts";
import type { LeaseLine } from "../shared-leases/index.ts";

/** etcd takes 128 operations in a txn, and counts the one that each nested txn has on top. */
const MOST_STEPS = 127;
/** etcd takes 1.5 MiB in one request. */
const MOST_BYTES = 1_000_000;
/** Txns on their way at once. */
const MOST_IN_FLIGHT = 8;
/** What a step takes besides its keys and its value. */
const STEP_BYTES = 64;

/** One step on one key. `over`: the modRevision that the key must still have, 0 for a missing one. */
export type BulkStep =
  | { readonly type: "put"; readonly over: number; readonly text: string; readonly lease: LeaseId }
  | { readonly type: "delete"; readonly over: number }
  | { readonly type: "look" };

/** One key that wants something of etcd. */
export interface BulkItem {
  readonly key: string;
  readonly needsLease: boolean;
  /** What to do next, asked for just before it is sent; undefined: nothing any more. */
  next(lease: LeaseId | undefined): BulkStep | undefined;
  /** The step was done, at this revision. */
  done(revision: number): void;
  /** The key is not as the step wanted it, or was looked at: this is what etcd has instead. */
  found(kv: KeyValue | undefined, revision: number): void;
  /** The step may have been done or not; it is asked for again. */
  failed(error: Error): void;
  /** etcd refuses this step alone; it is not asked for again. */
  refused(error: Error): void;
}

export interface BulkWriterParts {
  readonly etcd: Pick<EtcdClient, "txn">;
  readonly leases: LeaseLine;
  readonly runtime: Runtime;
  /** Told of each new lease, before anything is put on it. */
  onLease(lease: Lease): void;
  /** Something went wrong for all, and is tried again after a while. */
  onTrouble(error: Error): void;
  /** etcd answered. */
  onWorked(): void;
  /** The end, for all. */
  onFatal(error: Error): void;
}

interface Sent {
  readonly item: BulkItem;
  readonly op: Op;
}

/**
 * Does the steps of many keys in few requests: what is due now travels in txns of nested ones, each "if the key is as known,
 * do it, else say what is there", so that one key's change fails its own step and no other. No timer: what is asked for in the
 * same turn goes together, and what comes while all places are taken goes with the next txn.
 *
 * A txn that etcd refuses is halved until the step that is to blame stands alone. After what a retry can mend everything
 * waits, with growing random delays.
 */
export class BulkWriter {
  readonly #parts: BulkWriterParts;
  readonly #backoff: Backoff;
  readonly #due = new Set<BulkItem>();
  readonly #busy = new Set<BulkItem>();
  /** Those of the busy ones that want something again. */
  readonly #again = new Set<BulkItem>();
  readonly #stopping = new AbortController();
  #lease: Lease | undefined;
  #inFlight = 0;
  #granting = false;
  #scheduled = false;
  #pause: Timer | undefined;

  constructor(parts: BulkWriterParts) {
    this.#parts = parts;
    this.#backoff = new Backoff(parts.runtime, { initialMs: 100 });
  }

  add(item: BulkItem): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#busy.has(item)) {
      this.#again.add(item);
      return;
    }
    this.#due.add(item);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  /** Sends nothing any more, and waits for nothing that was sent. */
  stop(reason: Error): void {
    this.#stopping.abort(reason);
    this.#pause?.cancel();
    this.#due.clear();
    this.#again.clear();
  }

  #pump(): void {
    const { signal } = this.#stopping;
    while (!signal.aborted && !this.#pause && this.#due.size > 0 && this.#inFlight < MOST_IN_FLIGHT) {
      const lease = this.#parts.leases.current;
      if (!lease) this.#needLease();
      const batch = this.#take(lease);
      if (batch.length === 0) return;
      void this.#run(batch, lease);
    }
  }

  #needLease(): void {
    if (this.#granting || !someNeedsLease(this.#due)) return;
    this.#granting = true;
    void this.#grant().finally(() => {
      this.#granting = false;
      this.#pump();
    });
  }

  async #grant(): Promise<void> {
    const { signal } = this.#stopping;
    try {
      const lease = await this.#parts.leases.living(signal);
      if (lease === this.#lease || signal.aborted) return;
      this.#lease = lease;
      this.#parts.onLease(lease);
    } catch (error) {
      this.#stumbled(error);
    }
  }

  #take(lease: Lease | undefined): Sent[] {
    const batch: Sent[] = [];
    let bytes = 0;
    for (const item of this.#due) {
      if (item.needsLease && !lease) continue;
      const step = item.next(lease?.id);
      if (!step) {
        this.#due.delete(item);
        continue;
      }
      const size = sizeOf(item.key, step);
      if (batch.length > 0 && bytes + size > MOST_BYTES) break;
      bytes += size;
      batch.push({ item, op: toOp(item.key, step) });
      this.#due.delete(item);
      if (batch.length === MOST_STEPS) break;
    }
    return batch;
  }

  async #run(batch: readonly Sent[], lease: Lease | undefined): Promise<void> {
    this.#inFlight++;
    for (const { item } of batch) this.#busy.add(item);
    await this.#send(batch, lease);
    this.#inFlight--;
    for (const { item } of batch) {
      this.#busy.delete(item);
      if (this.#again.delete(item)) this.#due.add(item);
    }
    this.#pump();
  }

  /** Never rejects. */
  async #send(batch: readonly Sent[], lease: Lease | undefined): Promise<void> {
    const { signal } = this.#stopping;
    const options: CallOptions = { signal };
    try {
      const { responses, revision } = await this.#parts.etcd.txn({ success: batch.map(({ op }) => op) }, options);
      if (signal.aborted) return;
      this.#backoff.succeeded();
      this.#parts.onWorked();
      for (const [index, { item }] of batch.entries()) this.#answered(item, responses[index], revision);
    } catch (error) {
      if (signal.aborted) return;
      await this.#failed(batch, lease, error);
    }
  }

  async #failed(batch: readonly Sent[], lease: Lease | undefined, error: unknown): Promise<void> {
    if (error instanceof RequestRefusedError || error instanceof PermissionDeniedError) {
      const [first] = batch;
      if (batch.length === 1) {
        first?.item.refused(error);
        return;
      }
      // Nothing of it was done, and maybe only one of them is to blame.
      const half = Math.ceil(batch.length / 2);
      await this.#send(batch.slice(0, half), lease);
      await this.#send(batch.slice(half), lease);
      return;
    }
    for (const { item } of batch) this.#again.add(item);
    if (error instanceof LeaseNotFoundError && lease) {
      // Nothing of it was done.
      this.#parts.leases.gone(lease, error);
      return;
    }
    if (isMendable(error)) for (const { item } of batch) item.failed(asError(error));
    this.#stumbled(error);
  }

  #answered(item: BulkItem, response: OpResult | undefined, revision: number): void {
    if (response?.type === "txn" && response.succeeded) {
      item.done(revision);
      return;
    }
    const inner = response?.type === "txn" ? response.responses[0] : response;
    if (inner?.type !== "range") throw new TypeError("a read was answered by something else");
    item.found(inner.kvs[0], revision);
    this.#again.add(item);
  }

  #stumbled(error: unknown): void {
    if (this.#stopping.signal.aborted) return;
    if (!isMendable(error)) {
      this.#parts.onFatal(asError(error));
      return;
    }
    this.#parts.onTrouble(asError(error));
    if (this.#pause) return;
    this.#pause = this.#parts.runtime.clock.timer(this.#backoff.nextMs(), () => {
      this.#pause = undefined;
      this.#pump();
    });
  }
}

function someNeedsLease(items: Iterable<BulkItem>): boolean {
  for (const { needsLease } of items) if (needsLease) return true;
  return false;
}

function toOp(key: string, step: BulkStep): Op {
  if (step.type === "look") return getOp(key);
  return txnOp({
    compare: [compareModRevision(key, "equal", step.over)],
    success: [step.type === "put" ? putOp(key, step.text, { lease: step.lease }) : deleteOp(key)],
    failure: [getOp(key)],
  });
}

/** A key stands up to three times in its step. */
function sizeOf(key: string, step: BulkStep): number {
  return STEP_BYTES + 3 * Buffer.byteLength(key) + (step.type === "put" ? Buffer.byteLength(step.text) : 0);
}
