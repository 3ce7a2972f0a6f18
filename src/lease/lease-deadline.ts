import type { Clock } from "../internal/clock.ts";

/**
 * Until when a lease is provably alive, by this process's own clock: the send time of the last acknowledged renewal,
 * plus the granted TTL, minus a margin for clocks that run at different speeds and count in steps. etcd counts the TTL
 * from when it handled that renewal, which is later, so this deadline never lies behind the server's.
 *
 * Its clock goes on while the machine is suspended, and a wall clock that is set does not move it. So what is left
 * after a suspension is known, and nothing here is ever in doubt.
 */
export class LeaseDeadline {
  readonly #clock: Clock;
  #atMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param sentMs when the renewal was sent, by `elapsedMs()`; take it before sending */
  acknowledged(sentMs: number, ttlSeconds: number): void {
    const ttlMs = ttlSeconds * 1000;
    const marginMs = Math.min(500, ttlMs / 20);
    this.#atMs = Math.max(this.#atMs, sentMs + ttlMs - marginMs);
  }

  /** By `elapsedMs()`: once it has passed, the lease is lost for good. */
  get atMs(): number {
    return this.#atMs;
  }

  hasPassed(): boolean {
    return this.#clock.elapsedMs() >= this.#atMs;
  }

  remainingMs(): number {
    return Math.max(0, this.#atMs - this.#clock.elapsedMs());
  }
}
