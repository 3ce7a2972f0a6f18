import { type Lease, LeaseNotFoundError, RequestRefusedError } from "../../src/index.ts";
import { within } from "../../src/internal/index.ts";
import { JobLostError } from "../errors/index.ts";
import type { TxnUntilKnownOptions } from "../writes/index.ts";
import { toLetter } from "./dead-letters.ts";
import { type Ending, HeldJob } from "./held-job.ts";
import { type JobClaim, settleClaim } from "./job-claim.ts";
import type { Claim } from "./queued-job.ts";
import type { WorkerPort } from "./worker-port.ts";

export type JobsInHandParts = WorkerPort;

/** The jobs that a worker holds, and how they end. */
export class JobsInHand {
  readonly #parts: JobsInHandParts;
  readonly #held = new Map<string, HeldJob>();
  readonly #settling = new Map<string, { readonly revision: number; readonly done: Promise<void> }>();
  #changed = new Set<string>();

  constructor(parts: JobsInHandParts) {
    this.#parts = parts;
  }

  has(id: string): boolean {
    return this.#held.has(id);
  }

  /** Whether a claim of it is about to end, in etcd: also that of a job whose time is over. */
  isSettling(id: string): boolean {
    return this.#settling.has(id);
  }

  /** Whether it is in hand by this claim, or that is about to end. */
  holds(id: string, revision: number): boolean {
    return this.#held.get(id)?.revision === revision || this.#settling.get(id)?.revision === revision;
  }

  /** Those whose key was changed by hand while they were in hand, since this was asked last. */
  takeChanged(): ReadonlySet<string> {
    const changed = this.#changed;
    this.#changed = new Set();
    return changed;
  }

  hold(claim: JobClaim, lease: Lease, visibilityMs: number | undefined): HeldJob {
    const held: HeldJob = new HeldJob({
      queue: this.#parts.keys.name,
      claim,
      lease,
      visibilityMs,
      clock: this.#parts.clock,
      settle: (ending) => this.#settle(claim, lease, ending),
      onOver: () => {
        if (this.#held.get(claim.id) === held) this.#held.delete(claim.id);
        this.#parts.onNews({ type: "settled" });
      },
      onWarning: (error) => this.#parts.onNews({ type: "failure", error, lease }),
    });
    this.#held.set(claim.id, held);
    return held;
  }

  /** Loses all jobs, or those on one lease. */
  lose(why: string, { lease, cause }: { readonly lease?: Lease; readonly cause?: unknown } = {}): void {
    for (const job of [...this.#held.values()]) {
      if (!lease || job.lease === lease) job.lose(lostError(job.id, why, cause));
    }
  }

  /**
   * The mirror shows that a claim is gone; if it is being settled, its own answer says more.
   *
   * @returns whether it is lost by that
   */
  claimGone(id: string, { revision }: Claim): boolean {
    const job = this.#held.get(id);
    if (job?.revision !== revision || job.isSettling) return false;
    this.#changed.add(id);
    job.lose(lostError(id, "its key was changed"));
    return true;
  }

  /** The mirror shows a claim that this worker does not know: if it has the job in hand, its key was changed. */
  strayClaim(id: string): void {
    if (this.#held.has(id)) this.#changed.add(id);
  }

  /** Waits for what is on its way to etcd, for `limitMs` at most. */
  async settled(limitMs: number): Promise<void> {
    if (this.#settling.size === 0) return;
    const all = Promise.all([...this.#settling.values()].map(({ done }) => done));
    await within(this.#parts.clock, all, limitMs, () => undefined).catch(() => {});
  }

  async #settle(claim: JobClaim, lease: Lease, ending: Ending): Promise<boolean> {
    const settling = this.#end(claim, lease, ending, { ...this.#parts.writes(lease), signal: undefined });
    const done = settling.then(
      () => {},
      () => {},
    );
    const { id, revision } = claim;
    const underWay = { revision, done };
    this.#settling.set(id, underWay);
    this.#parts.onNews({ type: ending.type === "ack" ? "acking" : "releasing" });
    try {
      return (await settling) !== undefined;
    } catch (error) {
      // Handled with a claim in the same batch.
      if (error instanceof LeaseNotFoundError) lease.abandon(error);
      throw error;
    } finally {
      if (this.#settling.get(id) === underWay) this.#settling.delete(id);
      if (ending.type === "ack") this.#parts.onNews({ type: "acked" });
      this.#parts.onNews({ type: "settled" });
    }
  }

  async #end(
    claim: JobClaim,
    lease: Lease,
    ending: Ending,
    options: TxnUntilKnownOptions,
  ): Promise<number | undefined> {
    const { keys, maxAttempts, clock } = this.#parts;
    const { id, content } = claim;
    if (ending.type === "ack") return settleClaim(keys, claim, ending, { ...options, batch: true });
    if (content.attempt >= maxAttempts) {
      const letter = { value: content.value, attempts: content.attempt, diedAtMs: clock.wallMs() };
      try {
        const buried = await settleClaim(keys, claim, { type: "bury", letter }, options);
        if (buried !== undefined) {
          this.#parts.onNews({ type: "dead", letter: toLetter(id, letter) });
        }
        return buried;
      } catch (error) {
        if (!(error instanceof RequestRefusedError)) throw error;
        // As large as etcd takes, and as a letter larger: it goes back, and no worker takes it any more.
        this.#parts.onNews({ type: "failure", error, lease });
      }
    }
    const notBefore = ending.delayMs > 0 && content.attempt < maxAttempts ? clock.wallMs() + ending.delayMs : undefined;
    const back = { ...content, notBefore, holder: undefined };
    const released = await settleClaim(keys, claim, { type: "release", content: back }, options);
    if (released !== undefined) this.#parts.onNews({ type: "released", revision: released });
    return released;
  }
}

function lostError(id: string, why: string, cause?: unknown): JobLostError {
  return new JobLostError(`job ${id} is not this worker's any more: ${why}`, { cause });
}
