import type { Timer } from "../../src/internal/index.ts";
import type { LeaseLine } from "../leases/index.ts";
import type { ClaimsAhead } from "./claims-ahead.ts";
import type { ClaimsUnderWay } from "./claims-under-way.ts";
import { leavePlace, undoClaim } from "./job-claim.ts";
import type { JobsInHand } from "./jobs-in-hand.ts";
import { MIRROR_LAG_MS, type QueueView } from "./queue-view.ts";
import type { QueuedJob } from "./queued-job.ts";
import type { Waiters } from "./waiters.ts";
import type { WorkerPort } from "./worker-port.ts";

export interface StraysParts {
  readonly port: WorkerPort;
  readonly view: QueueView;
  readonly leases: LeaseLine;
  readonly claiming: ClaimsUnderWay;
  readonly ahead: ClaimsAhead;
  readonly inHand: JobsInHand;
  readonly waiters: Waiters;
}

/**
 * Claims and places on a worker's lease that are unknown here: they were given up, and landed late. Without this such a
 * job would have no holder, and such a place would let its turn pass, as long as the worker lives.
 */
export class Strays {
  readonly #parts: StraysParts;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(parts: StraysParts) {
    this.#parts = parts;
  }

  /** There may be one: gives it back in a moment, if it is one by then. */
  sweepSoon(): void {
    if (!this.#stopped) this.#timer ??= this.#parts.port.clock.timer(MIRROR_LAG_MS, () => void this.#sweep());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #sweep(): Promise<void> {
    this.#timer = undefined;
    const { port, view, leases, waiters } = this.#parts;
    const lease = leases.current;
    if (!lease || this.#stopped) return;
    try {
      for (const job of view.claimedBy(lease.id)) {
        const { id, kv, content } = job;
        if (!this.#isKnown(job)) await undoClaim(port.keys, id, kv.modRevision, content, port.writes(lease));
      }
      const isLate = waiters.size === 0 && view.waiting.includes(lease.id);
      if (isLate) await leavePlace(port.keys, lease.id, port.writes(lease));
    } catch (error) {
      port.onNews({ type: "failure", error, lease });
    }
  }

  /** Whether this worker has the job in hand, is about to, or ends this claim. */
  #isKnown({ id, kv }: QueuedJob): boolean {
    const { claiming, ahead, inHand } = this.#parts;
    return claiming.has(id) || ahead.has(id) || inHand.has(id) || inHand.isSettling(id, kv.modRevision);
  }
}
