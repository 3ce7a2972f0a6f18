import {
  type CallOptions,
  type EtcdClient,
  type Lease,
  LeaseNotFoundError,
  type Op,
  type OpResult,
  PermissionDeniedError,
} from "../../src/index.ts";
import {
  Admission,
  asError,
  isOfOne,
  opSize,
  queueMicrotask,
  type Runtime,
  ServerLimits,
  sendInParts,
  TxnRoom,
} from "../../src/internal/index.ts";
import type { LeaseLine } from "../leases/index.ts";
import { RetryPause } from "../retries/index.ts";
import { foundBy } from "../writes/index.ts";
import type { BulkItem } from "./bulk-item.ts";
import { guardedOp, roomFor } from "./key-step.ts";
import { stepFailure } from "./step-failure.ts";

/** Txns on their way at once. */
const MOST_IN_FLIGHT = 8;
/**
 * So many keys in a row that may not be written alone: the role of all of them is missing, and the others need not be
 * asked for.
 */
const MOST_DENIED_ALONE = 8;

export interface BulkWriterParts {
  readonly etcd: Pick<EtcdClient, "txn">;
  readonly leases: LeaseLine;
  readonly runtime: Runtime;
  /** Called with each new lease, before anything is put on it. */
  onLease(lease: Lease): void;
  /** Something went wrong for all, and is tried again after a while. */
  onWarning(error: Error): void;
  /** etcd answered. */
  onWorked(): void;
  /** The end, for all. */
  onFailed(error: Error): void;
}

interface Sent {
  readonly item: BulkItem;
  readonly op: Op;
  readonly room: readonly Op[];
}

/**
 * Does the steps of many keys in few requests: what is due now travels in txns of nested ones, each "if the key is as
 * known, do it, else say what is there", so that one key's change fails its own step and no other. No timer: what is
 * asked for in the same turn goes together, and what comes while all places are taken goes with the next txn.
 *
 * A txn that etcd refuses is halved until the step that is to blame stands alone. That one waits alone, if it is tried
 * again; after anything else all of them wait, with growing random delays. Where one key after the other is denied, and
 * none is written in between, the txns that are denied as well wait whole, and are the first ones of the next time.
 */
export class BulkWriter {
  readonly #parts: BulkWriterParts;
  readonly #pause: RetryPause;
  readonly #limits: ServerLimits;
  readonly #due = new Set<BulkItem>();
  readonly #busy = new Set<BulkItem>();
  /** Those of the busy ones that want something again. */
  readonly #again = new Set<BulkItem>();
  /** Those that etcd refuses, until an operator permits them. */
  readonly #refused = new Set<BulkItem>();
  /** Those that were denied together with others, while one after the other was denied. */
  readonly #setAside = new Set<BulkItem>();
  #deniedInARow = 0;
  readonly #refusedPause: RetryPause;
  readonly #stopping = new AbortController();
  #lease: Lease | undefined;
  /** Whether a pause was cut short since the last success. */
  #hurried = false;
  #inFlight = 0;
  #granting = false;
  #scheduled = false;
  /** Whether etcd has answered before: what it refuses later is waited out. */
  #hasWorked = false;

  constructor(parts: BulkWriterParts) {
    this.#parts = parts;
    this.#limits = ServerLimits.of(parts.etcd);
    this.#pause = new RetryPause(parts.runtime, { initialMs: 100 });
    this.#refusedPause = new RetryPause(parts.runtime, { initialMs: 200 });
  }

  add(item: BulkItem): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#busy.has(item)) {
      this.#again.add(item);
      return;
    }
    this.#due.add(item);
    this.#pumpSoon();
  }

  /**
   * Does not wait any longer after the last failure, once until something succeeds: of thousands that leave one by one
   * not each sends all that is due to an etcd that fails at once.
   */
  hurry(): void {
    if (!this.#pause.isOn || this.#hurried) return;
    this.#hurried = true;
    this.#pause.cutShort();
  }

  /** Sends nothing any more, and waits for nothing that was sent. */
  stop(reason: Error): void {
    this.#stopping.abort(reason);
    this.#pause.cancel();
    this.#refusedPause.cancel();
    this.#due.clear();
    this.#again.clear();
  }

  #pumpSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    const { signal } = this.#stopping;
    while (!signal.aborted && !this.#pause.isOn && this.#due.size > 0 && this.#inFlight < MOST_IN_FLIGHT) {
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
      if (signal.aborted) return;
      // A grant is no step, so no one step is to blame.
      const failure = stepFailure(error, { lease: undefined, isAlone: false, hasWorked: this.#hasWorked });
      if (failure === "end") this.#parts.onFailed(asError(error));
      else this.#wait(error);
    }
  }

  #take(lease: Lease | undefined): Sent[] {
    const batch: Sent[] = [];
    const room = new TxnRoom(this.#limits);
    for (const item of this.#due) {
      if (item.needsLease && !lease) continue;
      let sent: Sent | undefined;
      try {
        sent = nextOf(item, lease);
      } catch (error) {
        // No answer of etcd comes for what cannot be sent, and the others do not wait for it.
        this.#due.delete(item);
        this.#blame(item, asError(error));
        continue;
      }
      if (sent && !room.take(opSize(sent.op))) break;
      if (sent) batch.push(sent);
      this.#due.delete(item);
    }
    return batch;
  }

  async #run(batch: readonly Sent[], lease: Lease | undefined): Promise<void> {
    this.#inFlight++;
    for (const { item } of batch) this.#busy.add(item);
    await sendInParts(batch, {
      limits: this.#limits,
      sizeOf: ({ op }) => opSize(op),
      send: (part) => this.#send(part),
      failed: (part, error) => this.#failed(part, lease, error),
      // The lease is that of all of them.
      splits: (error) => isOfOne(error) && !(error instanceof LeaseNotFoundError) && !this.#isDeniedToAll(error),
      inOrder: true,
    });
    this.#inFlight--;
    for (const { item } of batch) {
      this.#busy.delete(item);
      if (this.#again.delete(item)) this.#due.add(item);
    }
    this.#pump();
  }

  async #send(batch: readonly Sent[]): Promise<void> {
    const { signal } = this.#stopping;
    const options: CallOptions = { signal };
    // What is refused together is tried alone: it is then that the room counts.
    const failure = batch.length === 1 ? batch[0]?.room : undefined;
    const request = { success: batch.map(({ op }) => op), failure };
    const { etcd } = this.#parts;
    const send = () => etcd.txn(request, options);
    const { responses, revision } = await Admission.of(etcd).run(send, { first: true, signal });
    if (signal.aborted) return;
    this.#hasWorked = true;
    this.#pause.succeeded();
    this.#hurried = false;
    this.#deniedInARow = 0;
    if (this.#refused.size + this.#setAside.size === 0) this.#refusedPause.succeeded();
    this.#parts.onWorked();
    for (const [index, { item }] of batch.entries()) this.#answered(item, responses[index], revision);
  }

  #failed(batch: readonly Sent[], lease: Lease | undefined, error: unknown): void {
    if (this.#stopping.signal.aborted) return;
    const items = batch.map(({ item }) => item);
    const isAlone = items.length === 1;
    switch (stepFailure(error, { lease, isAlone, hasWorked: this.#hasWorked })) {
      case "refused":
        if (error instanceof PermissionDeniedError) this.#deniedInARow++;
        for (const item of items) this.#blame(item, asError(error));
        break;
      case "leaseGone":
        for (const item of items) this.#again.add(item);
        if (lease) this.#parts.leases.gone(lease, error);
        break;
      case "end":
        this.#parts.onFailed(asError(error));
        break;
      case "unknown":
        for (const item of items) item.failed(asError(error));
        if (this.#isDeniedToAll(error)) for (const item of items) this.#askAgainLater(this.#setAside, item, error);
        else {
          for (const item of items) this.#again.add(item);
          this.#wait(error);
        }
    }
  }

  #blame(item: BulkItem, error: Error): void {
    if (item.refused(error)) this.#askAgainLater(this.#refused, item, error);
  }

  /** Before the first success each member hears at once what it may not write. */
  #isDeniedToAll(error: unknown): error is PermissionDeniedError {
    const denied = this.#hasWorked && this.#deniedInARow >= MOST_DENIED_ALONE;
    return denied && error instanceof PermissionDeniedError && !error.outcomeUnknown;
  }

  /** All that are refused are tried again together. */
  #askAgainLater(among: Set<BulkItem>, item: BulkItem, error: Error): void {
    among.add(item);
    this.#refusedPause.begin(() => {
      const refused = [...this.#setAside, ...this.#refused];
      this.#setAside.clear();
      this.#refused.clear();
      this.#deniedInARow = 0;
      for (const each of refused) this.add(each);
    }, error);
  }

  #answered(item: BulkItem, response: OpResult | undefined, revision: number): void {
    if (response?.type === "txn" && response.succeeded) item.done(revision);
    else {
      item.found(foundBy(response), revision);
      this.#again.add(item);
    }
  }

  #wait(cause: unknown): void {
    this.#parts.onWarning(asError(cause));
    // What calls `hurry()` changes what is due in the same turn.
    this.#pause.begin(() => this.#pumpSoon(), cause);
  }
}

/** @throws why its step can be no operation */
function nextOf(item: BulkItem, lease: Lease | undefined): Sent | undefined {
  const step = item.next(lease?.id);
  return step && { item, op: guardedOp(item.key, step), room: roomFor(item.key, step) };
}

function someNeedsLease(items: Iterable<BulkItem>): boolean {
  for (const { needsLease } of items) if (needsLease) return true;
  return false;
}
