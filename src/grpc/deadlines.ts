import type { Clock, Timer } from "../internal/clock.ts";

/**
 * One timer for the deadlines of all calls of a connection. It lets the process end: what keeps it alive is the socket,
 * while a call is open.
 */
export class Deadlines {
  readonly #clock: Clock;
  readonly #onDue: () => void;
  #timer: Timer | undefined;
  #atMs = Number.POSITIVE_INFINITY;

  /** @param onDue some deadline has passed. It calls `next` with the earliest of those that have not. */
  constructor(clock: Clock, onDue: () => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  watch(deadlineMs: number): void {
    if (deadlineMs >= this.#atMs) return;
    this.#timer?.cancel();
    this.#atMs = deadlineMs;
    this.#timer = this.#clock.timer(deadlineMs - this.#clock.monotonicMs(), this.#fire).unref();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  readonly #fire = () => {
    this.#timer = undefined;
    this.#atMs = Number.POSITIVE_INFINITY;
    this.#onDue();
  };
}
