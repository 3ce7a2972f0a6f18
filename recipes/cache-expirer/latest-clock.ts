import type { Clock } from "../../src/internal/index.ts";

/**
 * The latest time that the wall clock has shown, and what has passed since: it goes on where the wall clock is set back.
 */
export class LatestClock {
  readonly #clock: Clock;
  #aheadMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.nowMs();
  }

  /** Never earlier than the wall clock. It knows what that showed when it was asked. */
  nowMs(): number {
    const wallMs = this.#clock.wallMs();
    // After the wall clock: a pause in between makes it no later than it is.
    const elapsedMs = this.#clock.elapsedMs();
    this.#aheadMs = Math.max(this.#aheadMs, wallMs - elapsedMs);
    return Math.max(wallMs, elapsedMs + this.#aheadMs);
  }
}
