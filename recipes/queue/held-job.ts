import { ClientClosedError, type Lease } from "../../src/index.ts";
import {
  abortable,
  type Clock,
  channels,
  deadlineSignal,
  type JobMessage,
  showAs,
  type Timer,
  type Trace,
} from "../../src/internal/index.ts";
import { JobLostError } from "../errors/index.ts";
import type { Job, ReleaseOptions, SettleOptions } from "./job.ts";
import type { JobClaim } from "./job-claim.ts";
import { resolveRelease, resolveSettle } from "./options.ts";

export type Ending = { readonly type: "ack" } | { readonly type: "release"; readonly delayMs: number };

export interface HeldJobParts {
  /** The queue's name. */
  readonly queue: string;
  readonly claim: JobClaim;
  readonly lease: Lease;
  /** How long it may be held; undefined: as long as the lease lives. */
  readonly visibilityMs: number | undefined;
  readonly clock: Clock;
  /** Ends the claim in etcd. @returns false when it was not ours any more */
  settle(ending: Ending): Promise<boolean>;
  /** Called once, when it is no longer held. */
  onOver(job: HeldJob): void;
  /** Called when a job whose time is over could not be given back. */
  onWarning(error: unknown): void;
}

/**
 * ```
 *   held ──ack(), release()──▶ settling ──etcd agrees──▶ settled
 *    │                            └──not ours any more──▶ lost
 *    └──lease lost, time over, claim gone, closed──▶ lost
 * ```
 */
export class HeldJob implements Job {
  static {
    showAs(HeldJob, "Job", (it) => ({ id: it.id, value: it.value, attempt: it.attempt, aborted: it.#isLost }));
  }

  readonly id: string;
  readonly value: string;
  readonly attempt: number;
  readonly lease: Lease;
  readonly revision: number;
  readonly #parts: HeldJobParts;
  /** Made when `signal` is first read: most jobs end before. */
  #controller: AbortController | undefined;
  readonly #endsAtMs: number;
  readonly #trace: Trace<JobMessage> | undefined;
  #timer: Timer | undefined;
  #settling: { readonly type: Ending["type"]; readonly done: Promise<void> } | undefined;
  #over = false;
  #lost: JobLostError | undefined;

  constructor(parts: HeldJobParts) {
    const { claim, lease, visibilityMs, clock } = parts;
    this.id = claim.id;
    this.value = claim.content.value;
    this.attempt = claim.content.attempt;
    this.lease = lease;
    this.revision = claim.revision;
    this.#parts = parts;
    this.#endsAtMs = clock.monotonicMs() + (visibilityMs ?? Number.POSITIVE_INFINITY);
    this.#trace = channels.jobs.heard ? this.#describe(parts) : undefined;
    if (visibilityMs !== undefined) this.#look();
  }

  get signal(): AbortSignal {
    this.#controller ??= this.#newController();
    return this.#controller.signal;
  }

  /** Resolves when what was begun in etcd has ended; never rejects. */
  get settled(): Promise<void> {
    return this.#settling ? this.#settling.done.catch(() => {}) : Promise.resolve();
  }

  get isSettling(): boolean {
    return this.#settling !== undefined;
  }

  ack(options?: SettleOptions): Promise<void> {
    return this.#settle({ type: "ack" }, () => resolveSettle("Job.ack", options));
  }

  release(options?: ReleaseOptions): Promise<void> {
    return this.#settle({ type: "release", delayMs: 0 }, () => resolveRelease(options));
  }

  /** It is not ours any more. */
  lose(error: JobLostError): void {
    if (this.#over) return;
    this.#report("lost", error);
    this.#end();
    this.#lost = error;
    this.#controller?.abort(error);
  }

  /** Compares the clocks, as reading `signal.aborted` does. */
  get #isLost(): boolean {
    if (!this.#lost) this.#compareClocks();
    return this.#lost !== undefined;
  }

  #newController(): AbortController {
    const controller = new AbortController();
    deadlineSignal(controller, () => this.#compareClocks());
    if (this.#lost) controller.abort(this.#lost);
    return controller;
  }

  /** How it ended; what comes after that changes nothing. */
  #report(outcome: JobMessage["outcome"], error?: JobLostError): void {
    if (!this.#trace) return;
    this.#trace.message.outcome ??= outcome;
    if (error) this.#trace.fail(error);
    else this.#trace.succeed();
  }

  #describe({ queue, claim }: HeldJobParts): Trace<JobMessage> {
    const { id, attempt } = this;
    return channels.jobs.begin({ queue, id, attempt, job: this, traceContext: claim.content.trace });
  }

  async #settle(
    ending: Ending,
    resolve: () => { signal?: AbortSignal | undefined; delayMs?: number | undefined },
  ): Promise<void> {
    const { signal, delayMs = 0 } = resolve();
    signal?.throwIfAborted();
    if (this.#settling?.type !== ending.type) {
      // Also when it was settled in the other way.
      if (this.#isLost) throw this.#lost;
      if (this.#settling) {
        throw this.#lostError(`it was ${this.#settling.type === "ack" ? "acknowledged" : "released"} already`);
      }
      const done = this.#finish(ending.type === "ack" ? ending : { ...ending, delayMs });
      done.catch(() => {});
      this.#settling = { type: ending.type, done };
    }
    await abortable(this.#settling.done, signal);
  }

  async #finish(ending: Ending): Promise<void> {
    this.#timer?.cancel();
    let ours: boolean;
    try {
      ours = await this.#parts.settle(ending);
    } catch (cause) {
      if (!this.#isLost && !(cause instanceof ClientClosedError)) {
        // Refused: it is still ours, and may be tried again.
        this.#settling = undefined;
        this.#look();
        throw cause;
      }
      const outcomeUnknown = (cause as { outcomeUnknown?: boolean }).outcomeUnknown === true;
      const error = this.#lostError("it was lost before etcd answered", { cause, outcomeUnknown });
      this.lose(error);
      throw error;
    }
    if (!ours) {
      const error = this.#lostError("its claim is gone, and another worker may have it");
      this.lose(error);
      throw error;
    }
    this.#report(ending.type === "ack" ? "acknowledged" : "released");
    if (ending.type === "release") this.lose(this.#lostError("it was released"));
    else this.#end();
  }

  #end(): void {
    this.#over = true;
    this.#timer?.cancel();
    this.#parts.onOver(this);
  }

  /** A timer may be late, or early by a little. */
  #look(): void {
    if (this.#over || this.#settling || this.#endsAtMs === Number.POSITIVE_INFINITY) return;
    const { clock } = this.#parts;
    const leftMs = this.#endsAtMs - clock.monotonicMs();
    if (leftMs <= 0) this.#timeIsOver();
    else this.#timer = clock.timer(leftMs, () => this.#look());
  }

  #timeIsOver(): void {
    this.lose(this.#lostError("its time is over"));
    this.#parts.settle({ type: "release", delayMs: 0 }).catch((error) => this.#parts.onWarning(error));
  }

  /** The clock decides, not the timers. */
  #compareClocks(): void {
    if (this.#over) return;
    const { signal } = this.lease;
    if (signal.aborted) this.lose(this.#lostError("its lease is lost", { cause: signal.reason }));
    // What is being settled is held until etcd has answered.
    else if (!this.#settling && this.#parts.clock.monotonicMs() >= this.#endsAtMs) this.#timeIsOver();
  }

  #lostError(why: string, details?: { cause?: unknown; outcomeUnknown?: boolean }): JobLostError {
    return new JobLostError(`job ${this.id} is not this worker's any more: ${why}`, details);
  }
}
