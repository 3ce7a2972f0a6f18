import { type Lease, RequestRefusedError } from "../../src/index.ts";
import { type Clock, within } from "../../src/internal/index.ts";
import type { TxnUntilKnownOptions } from "../writes/index.ts";
import { type DeadLetter, toLetter } from "./dead-letters.ts";
import { buryJob, claimJob, type JobClaim, undoClaim } from "./job-claim.ts";
import type { QueueKeys } from "./queue-keys.ts";
import { MIRROR_LAG_MS } from "./queue-view.ts";
import type { QueuedJob } from "./queued-job.ts";
import type { WaitingPlace } from "./waiting-place.ts";

export interface ClaimsUnderWayParts {
  readonly keys: QueueKeys;
  readonly clock: Clock;
  readonly maxAttempts: number;
  readonly place: WaitingPlace;
  /** How what is written on a lease is repeated. */
  writes(lease: Lease): TxnUntilKnownOptions;
  /** Gives it to the first who waits. @returns false when nobody does any more */
  handOut(claim: JobClaim, lease: Lease): boolean;
  onDead(letter: DeadLetter): void;
  /** Told of a job that etcd does not let anybody claim. */
  onRefused(error: RequestRefusedError): void;
  onError(error: unknown, lease: Lease): void;
  /** Told when one is no longer under way, whatever came of it. */
  onOver(): void;
}

/** The jobs that a worker is claiming, or making dead letters of, for somebody who waits. */
export class ClaimsUnderWay {
  readonly #parts: ClaimsUnderWayParts;
  readonly #taking = new Map<string, Promise<void>>();
  #leaving = false;

  constructor(parts: ClaimsUnderWayParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#taking.size;
  }

  has(id: string): boolean {
    return this.#taking.has(id);
  }

  /** Claims a job for the first who waits, or makes a dead letter of it. */
  take(job: QueuedJob, lease: Lease): void {
    const taking = this.#take(job, lease).finally(() => {
      this.#taking.delete(job.id);
      this.#parts.onOver();
    });
    this.#taking.set(job.id, taking);
  }

  /** Waits for what is on its way to etcd, for `limitMs` at most. */
  async settled(limitMs: number): Promise<void> {
    if (this.#taking.size === 0) return;
    await within(this.#parts.clock, Promise.all(this.#taking.values()), limitMs, () => undefined).catch(() => {});
  }

  async #take(job: QueuedJob, lease: Lease): Promise<void> {
    const { clock, maxAttempts, writes, onRefused, onError } = this.#parts;
    // Not cut off by the end of the worker: what a claim has done must be undone if nobody gets the job.
    const options = { ...writes(lease), signal: undefined };
    let avoidMs = MIRROR_LAG_MS;
    try {
      if (job.content.attempt >= maxAttempts) await this.#bury(job, options);
      else await this.#claim(job, lease, options);
    } catch (error) {
      if (error instanceof RequestRefusedError) {
        // As large as etcd takes, and with a claim larger: no worker can have it, and those behind it must not wait.
        avoidMs = Number.POSITIVE_INFINITY;
        onRefused(error);
      } else onError(error, lease);
    } finally {
      job.avoidUntilMs = clock.monotonicMs() + avoidMs;
    }
  }

  async #bury(job: QueuedJob, options: TxnUntilKnownOptions): Promise<void> {
    const { keys, clock, onDead } = this.#parts;
    const { value, attempt } = job.content;
    const letter = { value, attempts: attempt, diedAtMs: clock.wallMs() };
    if (await buryJob(keys, job, letter, options)) onDead(toLetter(job.id, letter));
  }

  async #claim(job: QueuedJob, lease: Lease, options: TxnUntilKnownOptions): Promise<void> {
    const { keys, place, handOut } = this.#parts;
    // One of several claims at a time takes the place away.
    const leaves = place.isTaken && !this.#leaving;
    if (leaves) this.#leaving = true;
    const claim = await claimJob(keys, job, lease, leaves, { ...options, batch: true }).finally(() => {
      if (leaves) this.#leaving = false;
    });
    if (!claim || lease.signal.aborted) return;
    if (leaves) place.leftAt(claim.revision);
    // Whoever asked may have gone meanwhile.
    if (!handOut(claim, lease)) await undoClaim(keys, job.id, claim.revision, claim.content, options);
  }
}
