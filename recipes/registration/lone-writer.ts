import {
  type EtcdClient,
  type Lease,
  LeaseNotFoundError,
  PermissionDeniedError,
  RequestRefusedError,
} from "../../src/index.ts";
import { asError, endsRetries, type Runtime } from "../../src/internal/index.ts";
import type { KeyLeases } from "../leases/index.ts";
import { RetryPause } from "../retries/index.ts";
import type { BulkItem, BulkStep } from "./bulk-item.ts";
import { type StepAnswer, StepSender } from "./step-sender.ts";

/** Whose key it is. */
export interface LoneWriterOwner {
  /** Whether etcd has let it write before: what it refuses later is waited out. */
  readonly hasWorked: boolean;
  /** The stream of watches that is open now: what is asked from here on is answered by the history that it follows. */
  readonly openStream: object | undefined;
  /** A step was answered, and the key knows it. `openStream`: as it was before the step was sent. */
  answered(step: BulkStep, answer: StepAnswer, openStream: object | undefined): void;
  /** A step had no answer, and the key knows that it may have been done. */
  unanswered(): void;
  /** Called with each new lease, before anything is put on it. */
  onLease(lease: Lease): void;
  /** There is no lease, and it is tried again after a while. */
  onWarning(error: Error): void;
  /** The end, by what no retry can change. */
  onFailed(error: Error): void;
}

/**
 * Does the steps of one key, one after the other, on leases that are the key's own or shared with others; whatever
 * fails is tried again, after growing random delays. Nothing of it is there while the key is as it should be.
 */
export class LoneWriter {
  readonly #etcd: Pick<EtcdClient, "txn">;
  readonly #leases: KeyLeases;
  readonly #runtime: Runtime;
  readonly #owner: LoneWriterOwner;
  readonly #stopping = new AbortController();
  #due = false;
  #running = false;
  #pause: RetryPause | undefined;
  #lease: Lease | undefined;

  constructor(etcd: Pick<EtcdClient, "txn">, leases: KeyLeases, runtime: Runtime, owner: LoneWriterOwner) {
    this.#etcd = etcd;
    this.#leases = leases;
    this.#runtime = runtime;
    this.#owner = owner;
  }

  /** Aborts when nothing is written any more. */
  get stopped(): AbortSignal {
    return this.#stopping.signal;
  }

  /** The lease that it had last. */
  get lease(): Lease | undefined {
    return this.#lease;
  }

  add(item: BulkItem): void {
    this.#due = true;
    if (this.#running || this.#pause?.isOn || this.stopped.aborted) return;
    this.#running = true;
    void this.#run(item);
  }

  /** Does not wait any longer after the last failure. */
  hurry(): void {
    this.#pause?.cutShort();
  }

  /** Sends nothing any more, and waits for nothing that was sent. */
  stop(reason: Error): void {
    this.#stopping.abort(reason);
    this.#pause?.cancel();
  }

  async #run(item: BulkItem): Promise<void> {
    // What is asked for in the same turn is done in one step.
    await null;
    while (this.#due && !this.#pause?.isOn && !this.stopped.aborted) {
      this.#due = false;
      await this.#step(item);
    }
    this.#running = false;
  }

  async #step(item: BulkItem): Promise<void> {
    const { stopped } = this;
    let lease = this.#leases.current;
    try {
      if (item.needsLease && !this.#isKnown(lease)) lease = this.#taken(await this.#leases.living(stopped));
    } catch (error) {
      if (!stopped.aborted && !this.#ends(error)) {
        this.#owner.onWarning(asError(error));
        this.#wait(item, error);
      }
      return;
    }
    if (stopped.aborted) return;
    const step = item.next(lease?.id);
    if (!step) return;
    try {
      const { openStream } = this.#owner;
      const answer = await StepSender.of(this.#etcd).send(item.key, step, { signal: stopped });
      if (stopped.aborted) return;
      this.#pause?.succeeded();
      this.#due = true;
      if (answer.type === "done") item.done(answer.revision);
      else item.found(answer.kv, answer.revision);
      this.#owner.answered(step, answer, openStream);
    } catch (error) {
      if (!stopped.aborted) this.#failed(item, lease, error);
    }
  }

  #isKnown(lease: Lease | undefined): boolean {
    return lease !== undefined && lease === this.#lease;
  }

  #taken(lease: Lease): Lease {
    if (lease !== this.#lease && !this.stopped.aborted) {
      this.#lease = lease;
      this.#owner.onLease(lease);
    }
    return lease;
  }

  #failed(item: BulkItem, lease: Lease | undefined, error: unknown): void {
    if (error instanceof RequestRefusedError || error instanceof PermissionDeniedError) {
      if (item.refused(error)) this.#wait(item, error);
      return;
    }
    this.#due = true;
    if (error instanceof LeaseNotFoundError && lease) {
      // Nothing of it was done.
      this.#leases.gone(lease, error);
      return;
    }
    if (this.#ends(error)) return;
    item.failed(asError(error));
    this.#owner.unanswered();
    this.#wait(item, error);
  }

  #ends(error: unknown): boolean {
    const ends = endsRetries(error, this.#owner.hasWorked);
    if (!ends) return false;
    this.#owner.onFailed(asError(error));
    this.stop(asError(error));
    return true;
  }

  #wait(item: BulkItem, cause: unknown): void {
    this.#pause ??= new RetryPause(this.#runtime, { initialMs: 100 });
    this.#pause.begin(() => this.add(item), cause);
  }
}
