import type { Clock, Timer } from "../../src/internal/index.ts";

/** A clock that goes on only when it is told to. */
export class FakeClock implements Clock {
  #monotonicMs = 0;
  #wallMs = 1_700_000_000_000;
  readonly #timers = new Set<{ readonly atMs: number; readonly callback: () => void }>();

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  wallMs(): number {
    return this.#wallMs;
  }

  timer(delayMs: number, callback: () => void): Timer {
    const entry = { atMs: this.#monotonicMs + delayMs, callback };
    this.#timers.add(entry);
    const timer: Timer = { cancel: () => this.#timers.delete(entry), unref: () => timer };
    return timer;
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Both clocks go on; timers fire on their way. */
  advance(ms: number): void {
    const endMs = this.#monotonicMs + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
      if (!next) break;
      this.#timers.delete(next);
      this.#move(Math.max(0, next.atMs - this.#monotonicMs));
      next.callback();
    }
    this.#move(endMs - this.#monotonicMs);
  }

  /** Both clocks go on and no timer has fired yet: the event loop was blocked, or the process stopped. */
  stall(ms: number): void {
    this.#move(ms);
  }

  /** The machine is suspended: only the wall clock goes on. Also a wall clock that is set. */
  suspend(ms: number): void {
    this.#wallMs += ms;
  }

  #move(ms: number): void {
    this.#monotonicMs += ms;
    this.#wallMs += ms;
  }
}
