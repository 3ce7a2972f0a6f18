import { ExponentialBackoff, type IBackoff } from "cockatiel";
import { sleep } from "./abort.ts";
import type { Runtime } from "./runtime.ts";

export interface BackoffOptions {
  /** The first delay is drawn from [0, initialMs). @default 50 */
  initialMs?: number;
  /** No delay is longer. @default 5000 */
  maxMs?: number;
  /**
   * Success must last this long before the delays start small again: something that comes up and falls over at once
   * keeps backing off (HARDSHIPS 13). @default 5000
   */
  stableMs?: number;
}

/**
 * Exponential delays with full jitter: a crowd of clients that lost the same server comes back spread out.
 * Source: Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
 */
export class Backoff {
  readonly #runtime: Runtime;
  readonly #stableMs: number;
  readonly #factory: ExponentialBackoff<number>;
  #step: IBackoff<unknown> | undefined;
  #succeededAt: number | undefined;

  constructor(runtime: Runtime, { initialMs = 50, maxMs = 5000, stableMs = 5000 }: BackoffOptions = {}) {
    this.#runtime = runtime;
    this.#stableMs = stableMs;
    this.#factory = new ExponentialBackoff<number>({
      initialDelay: initialMs,
      maxDelay: maxMs,
      generator: (attempt = 0, options) => {
        const ceiling = Math.min(options.maxDelay, options.initialDelay * options.exponent ** attempt);
        return [runtime.random() * ceiling, attempt + 1];
      },
    });
  }

  /** The next delay in milliseconds. */
  nextMs(): number {
    const now = this.#runtime.clock.monotonicMs();
    if (this.#succeededAt !== undefined && now - this.#succeededAt >= this.#stableMs) this.#step = undefined;
    this.#succeededAt = undefined;
    this.#step = this.#step ? this.#step.next(undefined) : this.#factory.next();
    return this.#step.duration;
  }

  /** Waits for the next delay; rejects with `signal.reason` when aborted. */
  wait(signal?: AbortSignal): Promise<void> {
    return sleep(this.#runtime.clock, this.nextMs(), signal);
  }

  /** Says that it works now. The delays start small again once it has kept working for `stableMs`. */
  succeeded(): void {
    this.#succeededAt ??= this.#runtime.clock.monotonicMs();
  }
}
