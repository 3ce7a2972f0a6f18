import type { IBackoff } from "cockatiel";
// All of cockatiel takes a fifth of the time in which this library is imported.
import { ExponentialBackoff } from "cockatiel/dist/backoff/ExponentialBackoff.js";
import { sleep } from "./abort.ts";
import { isRefusal } from "./refusal.ts";
import type { Runtime } from "./runtime.ts";

export interface BackoffOptions {
  /** The first delay is drawn from [0, initialMs). @default 50 */
  initialMs?: number;
  /** No delay is longer, unless etcd refused. @default 5000 */
  maxMs?: number;
  /**
   * Success must last this long before the delays start small again: something that comes up and falls over at once
   * keeps backing off (HARDSHIPS 13). @default 5000
   */
  stableMs?: number;
}

export interface NextDelay {
  /** What failed. */
  readonly cause?: unknown;
  /** Until when it must have worked: the delay is at most a quarter of that. Without time left there is no hurry. */
  readonly leftMs?: number | undefined;
}

/** A delay that a deadline shortens takes this part of the time left: some ten attempts still fit in. */
const SHARE_OF_TIME_LEFT = 1 / 4;
/** No deadline makes a delay shorter than this: many attempts in a row would only be more load. */
const LEAST_MS = 20;
/** An operator has to lift a refusal, which takes longer than a server's restart. */
const LONGEST_AFTER_REFUSAL_MS = 30_000;

/**
 * Exponential delays with full jitter: a crowd of clients that lost the same server comes back spread out.
 * Source: Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
 */
export class Backoff {
  readonly #runtime: Runtime;
  readonly #stableMs: number;
  readonly #maxMs: number;
  readonly #factory: ExponentialBackoff<number>;
  #ceilingMs: number;
  #wasRefused = false;
  #step: IBackoff<unknown> | undefined;
  #succeededAt: number | undefined;

  constructor(runtime: Runtime, { initialMs = 50, maxMs = 5000, stableMs = 5000 }: BackoffOptions = {}) {
    this.#runtime = runtime;
    this.#stableMs = stableMs;
    this.#maxMs = maxMs;
    this.#ceilingMs = maxMs;
    this.#factory = new ExponentialBackoff<number>({
      initialDelay: initialMs,
      generator: (attempt = 0, options) => {
        const ceiling = Math.min(this.#ceilingMs, options.initialDelay * options.exponent ** attempt);
        return [runtime.random() * ceiling, attempt + 1];
      },
    });
  }

  /**
   * The next delay in milliseconds.
   *
   * After refusals the delays grow to 30 s, from small ones at the first of them.
   */
  nextMs({ cause, leftMs = Number.POSITIVE_INFINITY }: NextDelay = {}): number {
    const refused = isRefusal(cause);
    this.#ceilingMs = refused ? Math.max(this.#maxMs, LONGEST_AFTER_REFUSAL_MS) : this.#maxMs;
    const now = this.#runtime.clock.monotonicMs();
    const isStable = this.#succeededAt !== undefined && now - this.#succeededAt >= this.#stableMs;
    if (isStable) this.#wasRefused = false;
    // A server that comes back after a long outage may lack its users for a moment only.
    if (isStable || (refused && !this.#wasRefused)) this.#step = undefined;
    this.#wasRefused ||= refused;
    this.#succeededAt = undefined;
    this.#step = this.#step ? this.#step.next(undefined) : this.#factory.next();
    return shortened(this.#step.duration, leftMs);
  }

  /** Waits for the next delay, see `nextMs()`; rejects with `signal.reason` when aborted. */
  wait(signal?: AbortSignal, next?: NextDelay): Promise<void> {
    return sleep(this.#runtime.clock, this.nextMs(next), signal);
  }

  /** Says that it works now. The delays start small again once it has kept working for `stableMs`. */
  succeeded(): void {
    this.#succeededAt ??= this.#runtime.clock.monotonicMs();
  }
}

/** A delay that leaves time for more attempts before a deadline that is `leftMs` away. */
export function shortened(delayMs: number, leftMs: number): number {
  return leftMs > 0 ? Math.min(delayMs, Math.max(LEAST_MS, leftMs * SHARE_OF_TIME_LEFT)) : delayMs;
}
