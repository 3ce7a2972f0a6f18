import {
  type EtcdClient,
  type Lease,
  LeaseNotFoundError,
  PermissionDeniedError,
  RequestRefusedError,
} from "../../src/index.ts";
import { asError, Backoff, endsRetries, queueMicrotask, type Runtime, sleep } from "../../src/internal/index.ts";
import type { KeyLeases } from "../leases/index.ts";
import type { BulkItem } from "./bulk-item.ts";
import { StepSender } from "./step-sender.ts";

export interface LoneWriterParts {
  readonly etcd: Pick<EtcdClient, "txn">;
  readonly leases: KeyLeases;
  readonly runtime: Runtime;
  /** Whether etcd has let it write before: what it refuses later is waited out. */
  hasWorked(): boolean;
  /** A lease was asked for the first time: its turn among the client's requests has come. */
  onTurn(): void;
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
  readonly #parts: LoneWriterParts;
  readonly #stopping = new AbortController();
  #due = false;
  #running = false;
  #backoff: Backoff | undefined;
  /** Ends the pause after a failure. */
  #pause: AbortController | undefined;
  #lease: Lease | undefined;
  #turned = false;

  constructor(parts: LoneWriterParts) {
    this.#parts = parts;
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
    if (this.#running || this.stopped.aborted) return;
    this.#running = true;
    queueMicrotask(() => void this.#run(item));
  }

  /** Does not wait any longer after the last failure. */
  hurry(): void {
    this.#pause?.abort();
  }

  /** Sends nothing any more, and waits for nothing that was sent. */
  stop(reason: Error): void {
    this.#stopping.abort(reason);
    this.hurry();
  }

  async #run(item: BulkItem): Promise<void> {
    while (this.#due && !this.stopped.aborted) {
      this.#due = false;
      await this.#step(item);
    }
    this.#running = false;
  }

  async #step(item: BulkItem): Promise<void> {
    const { etcd, leases } = this.#parts;
    const { stopped } = this;
    let lease = leases.current;
    try {
      if (item.needsLease && !this.#isKnown(lease)) lease = await this.#grant();
    } catch (error) {
      if (!stopped.aborted && !this.#ends(error)) {
        this.#parts.onWarning(asError(error));
        await this.#wait(error);
      }
      return;
    }
    if (stopped.aborted) return;
    const step = item.next(lease?.id);
    if (!step) return;
    try {
      const answer = await StepSender.of(etcd).send(item.key, step, { signal: stopped });
      if (stopped.aborted) return;
      this.#backoff?.succeeded();
      this.#due = true;
      if (answer.type === "done") item.done(answer.revision);
      else item.found(answer.kv, answer.revision);
    } catch (error) {
      if (!stopped.aborted) await this.#failed(item, lease, error);
    }
  }

  #isKnown(lease: Lease | undefined): boolean {
    return lease !== undefined && lease === this.#lease;
  }

  async #grant(): Promise<Lease> {
    const { leases, onLease, onTurn } = this.#parts;
    try {
      const lease = await leases.living(this.stopped);
      if (lease !== this.#lease && !this.stopped.aborted) {
        this.#lease = lease;
        onLease(lease);
      }
      return lease;
    } finally {
      if (!this.#turned && !this.stopped.aborted) onTurn();
      this.#turned = true;
    }
  }

  async #failed(item: BulkItem, lease: Lease | undefined, error: unknown): Promise<void> {
    if (error instanceof RequestRefusedError || error instanceof PermissionDeniedError) {
      if (item.refused(error)) await this.#wait(error);
      return;
    }
    this.#due = true;
    if (error instanceof LeaseNotFoundError && lease) {
      // Nothing of it was done.
      this.#parts.leases.gone(lease, error);
      return;
    }
    if (this.#ends(error)) return;
    item.failed(asError(error));
    await this.#wait(error);
  }

  #ends(error: unknown): boolean {
    const ends = endsRetries(error, this.#parts.hasWorked());
    if (!ends) return false;
    this.#parts.onFailed(asError(error));
    this.stop(asError(error));
    return true;
  }

  async #wait(cause: unknown): Promise<void> {
    const { runtime } = this.#parts;
    this.#due = true;
    this.#backoff ??= new Backoff(runtime, { initialMs: 100 });
    this.#pause = new AbortController();
    await sleep(runtime.clock, this.#backoff.nextMs({ cause }), this.#pause.signal).catch(() => {});
    this.#pause = undefined;
  }
}
