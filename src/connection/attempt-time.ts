/** No attempt that can be repeated waits longer for one endpoint before each of the others was asked. */
export const ATTEMPT_LIMIT_MS = 2_000;

/** How long the first attempt may take that can be repeated elsewhere. */
export function attemptLimitMs(timeoutMs: number): number {
  return Math.min(ATTEMPT_LIMIT_MS, timeoutMs / 3);
}

/**
 * How long the attempts of one call may take that can be repeated. A third of its time, 2 s at most, so that a second
 * endpoint is always tried. After a round of all endpoints in which one took all of that, twice as long: what takes
 * etcd longer, or the way of a long answer, must come through. But where others failed in another way they may do
 * better soon: then half of what is left at most.
 */
export class AttemptTime {
  readonly #firstMs: number;
  #mostMs: number;
  /** What attempts of this round failed with. */
  #wasLate = false;
  #wasOther = false;
  #mayChange = false;

  constructor(timeoutMs: number) {
    this.#firstMs = attemptLimitMs(timeoutMs);
    this.#mostMs = this.#firstMs;
  }

  /** @param leftMs of the call's time */
  limitMs(leftMs: number): number {
    const most = this.#mayChange ? Math.max(this.#firstMs, Math.min(this.#mostMs, leftMs / 2)) : this.#mostMs;
    return Math.min(most, leftMs);
  }

  /** @param late whether the attempt took all of its time */
  failed(late: boolean): void {
    this.#wasLate ||= late;
    this.#wasOther ||= !late;
  }

  /** Each endpoint was asked in vain. */
  roundEnded(): void {
    if (this.#wasLate) this.#mostMs *= 2;
    this.#mayChange = this.#wasOther;
    this.#wasLate = false;
    this.#wasOther = false;
  }
}
