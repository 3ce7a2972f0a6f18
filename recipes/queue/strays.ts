import type { KeyValue, Lease } from "../../src/index.ts";
import type { Clock, Timer } from "../../src/internal/index.ts";
import type { TxnUntilKnownOptions } from "../writes/index.ts";
import { leavePlace, undoClaim } from "./job-claim.ts";
import type { QueueKeys } from "./queue-keys.ts";
import { MIRROR_LAG_MS, type QueueView } from "./queue-view.ts";

export interface StraysParts {
  readonly keys: QueueKeys;
  readonly view: QueueView;
  readonly clock: Clock;
  /** Ends it. */
  readonly signal: AbortSignal;
  /** The worker's lease, if it has one. */
  lease(): Lease | undefined;
  /** Whether this worker has the job in hand, is about to, or ends this claim. */
  isKnown(id: string, claim: KeyValue): boolean;
  /** Whether the place among those who wait is wanted. */
  isWaiting(): boolean;
  /** How what is written on a lease is repeated. */
  writes(lease: Lease): TxnUntilKnownOptions;
  onError(error: unknown, lease: Lease): void;
}

/**
 * Claims and places on a worker's lease that nobody here knows of: they were given up, and landed late. Without this such a
 * job would be held by nobody, and such a place would let its turn pass, as long as the worker lives.
 */
export class Strays {
  readonly #parts: StraysParts;
  #timer: Timer | undefined;

  constructor(parts: StraysParts) {
    this.#parts = parts;
  }

  /** There may be one: gives it back in a moment, if it is one by then. */
  sweepSoon(): void {
    const { clock, signal } = this.#parts;
    if (!signal.aborted) this.#timer ??= clock.timer(MIRROR_LAG_MS, () => void this.#sweep());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  async #sweep(): Promise<void> {
    this.#timer = undefined;
    const { keys, view, signal, isKnown, isWaiting, writes, onError } = this.#parts;
    const lease = this.#parts.lease();
    if (!lease || signal.aborted) return;
    try {
      for (const [id, claim] of view.claimsOf(lease.id)) {
        if (isKnown(id, claim)) continue;
        const job = view.job(id);
        const content = job?.kv.modRevision === claim.createRevision ? job.content : undefined;
        await undoClaim(keys, id, claim.createRevision, content, writes(lease));
      }
      if (!isWaiting() && view.waiting.includes(lease.id)) await leavePlace(keys, lease.id, writes(lease));
    } catch (error) {
      onError(error, lease);
    }
  }
}
