import type { Clock } from "../internal/clock.ts";

/** The wall clock may run ahead of the monotonic one by this much before the machine is taken to have been suspended. */
const SUSPEND_MS = 1_000;

/**
 * Until when a lease is provably alive, by this process's own clock: the send time of the last acknowledged renewal, plus
 * the granted TTL, minus a margin for clocks that run at different speeds. etcd counts the TTL from when it handled that
 * renewal, which is later, so this deadline never lies behind the server's.
 *
 * A monotonic clock stands still while the machine is suspended (Linux); then the wall clock runs ahead, and until a
 * renewal proves the lease alive nothing is left of it.
 */
export class LeaseDeadline {
  readonly #clock: Clock;
  #deadlineMs = Number.NEGATIVE_INFINITY;
  #wallAheadMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  acknowledged(sent: SendTime, ttlSeconds: number): void {
    const ttlMs = ttlSeconds * 1000;
    const marginMs = Math.min(500, ttlMs / 20);
    const deadlineMs = sent.monotonicMs + ttlMs - marginMs;
    if (deadlineMs < this.#deadlineMs) return;
    this.#deadlineMs = deadlineMs;
    this.#wallAheadMs = sent.wallAheadMs;
  }

  /** By the monotonic clock alone: once it has passed, the lease is lost for good. */
  get atMs(): number {
    return this.#deadlineMs;
  }

  hasPassed(): boolean {
    return this.#clock.monotonicMs() >= this.#deadlineMs;
  }

  /** The machine seems to have been suspended since the last acknowledged renewal was sent. */
  suspended(): boolean {
    return this.#clock.wallMs() - this.#clock.monotonicMs() - this.#wallAheadMs > SUSPEND_MS;
  }

  remainingMs(): number {
    return this.suspended() ? 0 : Math.max(0, this.#deadlineMs - this.#clock.monotonicMs());
  }

  /** For a lease that is never renewed: what is left by whichever clock ran further. */
  remainingByEitherClockMs(): number {
    const aheadMs = this.#clock.wallMs() - this.#clock.monotonicMs() - this.#wallAheadMs;
    return Math.max(0, this.#deadlineMs - this.#clock.monotonicMs() - Math.max(0, aheadMs));
  }
}

/** When something was sent, by both clocks. */
export interface SendTime {
  readonly monotonicMs: number;
  readonly wallAheadMs: number;
}

/** This moment, to hand to `acknowledged()`; take it before sending. */
export function sendTime(clock: Clock): SendTime {
  const monotonicMs = clock.monotonicMs();
  return { monotonicMs, wallAheadMs: clock.wallMs() - monotonicMs };
}
