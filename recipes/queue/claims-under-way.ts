import { type Lease, RequestRefusedError } from "../../src/index.ts";
import { within } from "../../src/internal/index.ts";
import type { TxnUntilKnownOptions } from "../writes/index.ts";
import type { ClaimsAhead } from "./claims-ahead.ts";
import { toLetter } from "./dead-letters.ts";
import { buryJob, claimJob } from "./job-claim.ts";
import type { JobsInHand } from "./jobs-in-hand.ts";
import type { ClaimOutcome, QueueView } from "./queue-view.ts";
import type { QueuedJob } from "./queued-job.ts";
import type { Waiters } from "./waiters.ts";
import type { WaitingPlace } from "./waiting-place.ts";
import type { WorkerPort } from "./worker-port.ts";

export interface ClaimsUnderWayParts {
  readonly port: WorkerPort;
  readonly view: QueueView;
  readonly place: WaitingPlace;
  readonly waiters: Waiters;
  readonly ahead: ClaimsAhead;
  readonly inHand: JobsInHand;
}

/** The jobs that a worker is claiming, or making dead letters of, for a call that waits. */
export class ClaimsUnderWay {
  readonly #parts: ClaimsUnderWayParts;
  readonly #taking = new Map<string, Promise<ClaimOutcome>>();
  #leaving = false;
  /** On which the worker's key was put. */
  #announced: Lease | undefined;

  constructor(parts: ClaimsUnderWayParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#taking.size;
  }

  has(id: string): boolean {
    return this.#taking.has(id);
  }

  /** Whether a claim is on its way that puts the worker's key, too: those after it wait for that. */
  isAnnouncing = false;

  /**
   * Claims a job for the first who waits, or is about to, or makes a dead letter of it. Resolves when it is no longer
   * under way; never rejects.
   */
  async take(job: QueuedJob, lease: Lease): Promise<void> {
    const { view, port } = this.#parts;
    view.claimBegun(job);
    const taking = this.#take(job, lease);
    this.#taking.set(job.id, taking);
    try {
      view.claimEnded(job, await taking, port.clock.monotonicMs());
    } finally {
      this.#taking.delete(job.id);
    }
  }

  /** Waits for what is on its way to etcd, for `limitMs` at most. */
  async settled(limitMs: number): Promise<void> {
    if (this.#taking.size === 0) return;
    await within(this.#parts.port.clock, Promise.all(this.#taking.values()), limitMs, () => undefined).catch(() => {});
  }

  async #take(job: QueuedJob, lease: Lease): Promise<ClaimOutcome> {
    const { port } = this.#parts;
    // Not cut off by the end of the worker: what a claim has done must be undone if no caller gets the job.
    const options = { ...port.writes(lease), signal: undefined };
    try {
      if (job.content.attempt < port.maxAttempts) return await this.#claim(job, lease, options);
      await this.#bury(job, options);
      return "tried";
    } catch (error) {
      // As large as etcd takes, and with a claim larger: no worker can have it, and those behind it must not wait.
      const isTooLarge = error instanceof RequestRefusedError;
      if (isTooLarge) port.onNews({ type: "warning", error });
      else port.onNews({ type: "failure", error, lease });
      return isTooLarge ? "hopeless" : "tried";
    }
  }

  async #bury(job: QueuedJob, options: TxnUntilKnownOptions): Promise<void> {
    const { port } = this.#parts;
    const { value, attempt } = job.content;
    const letter = { value, attempts: attempt, diedAtMs: port.clock.wallMs() };
    if (await buryJob(port.keys, job, letter, options)) {
      port.onNews({ type: "dead", letter: toLetter(job.id, letter) });
    }
  }

  async #claim(job: QueuedJob, lease: Lease, options: TxnUntilKnownOptions): Promise<ClaimOutcome> {
    const { port, view, place, waiters, ahead, inHand } = this.#parts;
    const { keys } = port;
    const epoch = this.#taking.size < waiters.size ? undefined : ahead.epoch;
    // One of several claims at a time takes the place away.
    const leaves = place.isTaken && !this.#leaving;
    if (leaves) this.#leaving = true;
    const announce = this.#announced !== lease;
    if (announce) this.isAnnouncing = true;
    const how = { ...options, batch: true, announce, leavePlace: leaves };
    const claim = await claimJob(keys, job, lease, how).finally(() => {
      if (leaves) this.#leaving = false;
      if (announce) this.isAnnouncing = false;
    });
    if (claim === "ended") {
      port.onNews({ type: "ended", lease });
      return "untouched";
    }
    if (!claim || lease.signal.aborted) return "tried";
    this.#announced = lease;
    if (leaves) place.leftAt(claim.revision);
    if (view.isOver(job.id, claim)) {
      port.onNews({ type: "overtaken" });
      return "tried";
    }
    job.claim = claim;
    // One that is given back meanwhile may come before it.
    if (epoch !== undefined && epoch !== ahead.epoch) {
      await ahead.undo(claim, lease);
      return "tried";
    }
    // The caller may have gone meanwhile.
    const waiter = waiters.shift();
    if (waiter) waiter.job.resolve(inHand.hold(claim, lease, waiter.visibilityMs));
    else if (!ahead.offer(claim, lease)) await ahead.undo(claim, lease);
    return "tried";
  }
}
