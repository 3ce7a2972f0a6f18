import type { Lease } from "../../src/index.ts";
import type { Timer } from "../../src/internal/index.ts";
import type { LeaseLine } from "../leases/index.ts";
import { beforeClaim, giveBack, leavePlace } from "./job-claim.ts";
import type { JobsInHand } from "./jobs-in-hand.ts";
import { MIRROR_LAG_MS, type QueueView } from "./queue-view.ts";
import type { Claim, QueuedJob } from "./queued-job.ts";
import type { Waiters } from "./waiters.ts";
import type { WorkerPort } from "./worker-port.ts";

export interface StraysParts {
  readonly port: WorkerPort;
  readonly view: QueueView;
  readonly leases: LeaseLine;
  readonly inHand: JobsInHand;
  readonly waiters: Waiters;
  /** Whether the worker has the job by this claim, or ends it. */
  holds(id: string, claim: Claim): boolean;
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
    const { port, view, leases, inHand, waiters, holds } = this.#parts;
    const lease = leases.current;
    const changed = inHand.takeChanged();
    if (!lease || this.#stopped) return;
    for (const job of view.claimedBy(lease.id)) {
      if (job.claim && !holds(job.id, job.claim)) await this.#giveBack(job, job.claim, lease, changed.has(job.id));
    }
    if (waiters.size > 0 || !view.isWaiting(lease.id)) return;
    try {
      await leavePlace(port.keys, lease.id, port.writes(lease));
    } catch (error) {
      port.onNews({ type: "failure", error, lease });
    }
  }

  /** @param wasInHand before its key was changed: that was an attempt */
  async #giveBack(job: QueuedJob, claim: Claim, lease: Lease, wasInHand: boolean): Promise<void> {
    const { port } = this.#parts;
    const { id } = job;
    try {
      const back = wasInHand ? job.content : beforeClaim(job.content);
      await giveBack(port.keys, id, claim, back, port.writes(lease));
    } catch (error) {
      port.onNews({ type: "failure", error, lease });
    }
  }
}
