import { type Deferred, onAbort, quietDeferred } from "../../src/internal/index.ts";
import type { Job } from "./job.ts";

interface Waiter {
  readonly visibilityMs: number | undefined;
  readonly job: Deferred<Job>;
  /** Takes the listener off the caller's signal. */
  off: () => void;
}

/** The calls of `dequeue()` that wait for a job, in the order in which they came. */
export class Waiters {
  readonly #onAborted: () => void;
  readonly #waiters = new Set<Waiter>();

  /** @param onAborted one that waited does no longer */
  constructor(onAborted: () => void) {
    this.#onAborted = onAborted;
  }

  get size(): number {
    return this.#waiters.size;
  }

  add(visibilityMs: number | undefined, signal: AbortSignal | undefined): Promise<Job> {
    const waiter: Waiter = { visibilityMs, job: quietDeferred(), off: () => {} };
    this.#waiters.add(waiter);
    waiter.off = onAbort(signal, () => {
      this.#waiters.delete(waiter);
      waiter.job.reject(signal?.reason);
      this.#onAborted();
    });
    return waiter.job.promise;
  }

  /** Takes out the first; undefined when there is none any more. */
  shift(): Waiter | undefined {
    const [waiter] = this.#waiters;
    if (!waiter) return undefined;
    this.#waiters.delete(waiter);
    waiter.off();
    return waiter;
  }

  rejectAll(reason: Error): void {
    for (let waiter = this.shift(); waiter; waiter = this.shift()) waiter.job.reject(reason);
  }
}
