import { Backoff } from "../../internal/backoff.ts";
import type { Clock } from "../../internal/clock.ts";
import type { Runtime } from "../../internal/runtime.ts";

/** A failure that is so long ago has nothing to do with the next one. */
const FORGET_MS = 30_000;

/**
 * Decides when to leave a connection that works for the member at its other end, which does not. That member has lost
 * its leader, or is a learner, or it is a proxy that refuses everything: it answers at once, so that nothing else would
 * ever end the connection, and another member may be behind the same name, Service or balancer.
 *
 * Not at its first failure: while the members elect a leader all of them fail, for a moment, and a crowd of clients
 * that dials anew does not help them (HARDSHIPS 13).
 */
export class MemberDoubt {
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  #sinceMs = 0;
  #lastMs = Number.NEGATIVE_INFINITY;
  #leaveAtMs = 0;

  constructor(runtime: Runtime) {
    this.#clock = runtime.clock;
    this.#backoff = new Backoff(runtime, { initialMs: 500, maxMs: 5_000 });
  }

  /**
   * What was asked was answered, and not served. An answer to something else, in between, changes nothing: a learner
   * serves serializable reads.
   *
   * @returns since when that has been so (monotonic), once it is time to leave
   */
  failed(): number | undefined {
    const now = this.#clock.monotonicMs();
    if (now - this.#lastMs > FORGET_MS) this.#begin(now);
    this.#lastMs = now;
    if (now < this.#leaveAtMs) return undefined;
    const sinceMs = this.#sinceMs;
    this.#begin(now);
    return sinceMs;
  }

  /** Something was served. */
  worked(): void {
    this.#backoff.succeeded();
  }

  #begin(now: number): void {
    this.#sinceMs = now;
    this.#leaveAtMs = now + this.#backoff.nextMs();
  }
}
