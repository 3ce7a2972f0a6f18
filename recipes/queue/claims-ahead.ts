import type { Lease } from "../../src/index.ts";
import { type Timer, within } from "../../src/internal/index.ts";
import { beforeClaim, giveBack, type JobClaim } from "./job-claim.ts";
import type { WorkerPort } from "./worker-port.ts";

/** Who has acknowledged a job and asks for the next one within this time is waited for the next time. */
const AHEAD_MS = 20;

interface ReadyJob {
  readonly claim: JobClaim;
  readonly lease: Lease;
  readonly untilMs: number;
}

/**
 * Jobs that are claimed before they are asked for. A worker that acknowledges a job and then asks for the next one at
 * once, as most do, need not wait for two txns: while the ack is under way the next job is claimed in the same txn.
 *
 * Only for a worker whose last ack was followed by a `dequeue()` within 20 ms. What it has not asked for 20 ms later
 * goes back, as if it had not been claimed, and the next ack claims nothing. So does everything that was claimed ahead
 * when the worker gives a job back: that one may come first.
 */
export class ClaimsAhead {
  readonly #port: WorkerPort;
  readonly #ready = new Map<string, ReadyJob>();
  readonly #undoing = new Set<Promise<void>>();
  #acks = 0;
  /** Acks that have ended, and no `dequeue()` came since. */
  #unanswered = 0;
  #lastAckMs = Number.NEGATIVE_INFINITY;
  #isLikely = false;
  #stopped = false;
  #timer: Timer | undefined;
  /** Goes up when what was claimed ahead before may not be the next job any more. */
  epoch = 0;

  constructor(port: WorkerPort) {
    this.#port = port;
  }

  /** How many calls of `dequeue()` are expected at any moment, beside those that wait. */
  get expected(): number {
    return this.#isLikely ? this.#acks : 0;
  }

  /** How many jobs are claimed for them already. */
  get size(): number {
    return this.#ready.size;
  }

  has(id: string): boolean {
    return this.#ready.has(id);
  }

  holds(id: string, revision: number): boolean {
    return this.#ready.get(id)?.claim.revision === revision;
  }

  /** An ack is on its way to etcd. */
  ackBegun(): void {
    this.#acks++;
  }

  ackEnded(): void {
    this.#acks--;
    this.#unanswered++;
    this.#lastAckMs = this.#port.clock.monotonicMs();
  }

  /** A call of `dequeue()` came. @returns what is claimed for it already */
  take(): Pick<ReadyJob, "claim" | "lease"> | undefined {
    if (this.#unanswered > 0) {
      this.#unanswered--;
      this.#isLikely = this.#isRecent();
    }
    for (const [id, ready] of this.#ready) {
      this.#ready.delete(id);
      // Reading it compares the clocks: the process may have been stopped since.
      if (!ready.lease.signal.aborted) return ready;
    }
    return undefined;
  }

  /** A job was claimed, and no call waits for it. @returns false when none is expected: it is to go back */
  offer(claim: JobClaim, lease: Lease): boolean {
    if (this.#stopped || (this.expected === 0 && !this.#isRecent())) return false;
    this.#ready.set(claim.id, { claim, lease, untilMs: this.#port.clock.monotonicMs() + AHEAD_MS });
    this.#timer ??= this.#port.clock.timer(AHEAD_MS, () => this.#look());
    return true;
  }

  /** A claim is gone from etcd. */
  claimGone(id: string, revision: number): void {
    if (this.#ready.get(id)?.claim.revision === revision) this.#ready.delete(id);
  }

  /** What is claimed ahead goes back, also what is under way: it may not be the next job any more. */
  giveBack(): void {
    this.epoch++;
    for (const id of [...this.#ready.keys()]) this.#undoReady(id);
  }

  /** Gives back a claim for which no call waits. Never rejects. */
  async undo(claim: JobClaim, lease: Lease): Promise<void> {
    const undoing = this.#giveBack(claim, lease);
    this.#undoing.add(undoing);
    await undoing;
    this.#undoing.delete(undoing);
    this.#port.onNews({ type: "undone" });
  }

  /** While this is so, the next job for this worker may be one that is not back yet. */
  get isUndoing(): boolean {
    return this.#undoing.size > 0;
  }

  /** The end: nothing is expected any more. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#isLikely = false;
    this.giveBack();
  }

  /** Waits for what is on its way to etcd, for `limitMs` at most. */
  async settled(limitMs: number): Promise<void> {
    if (this.#undoing.size === 0) return;
    await within(this.#port.clock, Promise.all(this.#undoing), limitMs, () => undefined).catch(() => {});
  }

  #isRecent(): boolean {
    return this.#port.clock.monotonicMs() - this.#lastAckMs <= AHEAD_MS;
  }

  #look(): void {
    this.#timer = undefined;
    const nowMs = this.#port.clock.monotonicMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [id, { untilMs }] of [...this.#ready]) {
      if (untilMs > nowMs) {
        nextMs = Math.min(nextMs, untilMs - nowMs);
        continue;
      }
      this.#isLikely = false;
      this.#undoReady(id);
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.#timer = this.#port.clock.timer(nextMs, () => this.#look());
  }

  #undoReady(id: string): void {
    const ready = this.#ready.get(id);
    this.#ready.delete(id);
    if (ready && !ready.lease.signal.aborted) void this.undo(ready.claim, ready.lease);
  }

  async #giveBack(claim: JobClaim, lease: Lease): Promise<void> {
    // Not cut off by the end of the worker.
    const options = { ...this.#port.writes(lease), signal: undefined };
    try {
      const revision = await giveBack(this.#port.keys, claim.id, claim, beforeClaim(claim.content), options);
      this.#port.onNews({ type: "released", revision });
    } catch (error) {
      this.#port.onNews({ type: "failure", error, lease });
    }
  }
}
