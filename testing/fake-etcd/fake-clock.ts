import { type Clock, setImmediate, type Timer } from "../../src/internal/index.ts";

interface Waiting {
  readonly atMs: number;
  readonly callback: () => void;
}

/** A clock that goes on only when a test advances it. */
export class FakeClock implements Clock {
  #monotonicMs = 0;
  #wallMs: number;
  #suspendedMs = 0;
  readonly #timers = new Set<Waiting>();

  /** @param startMs what the wall clock shows first, in milliseconds since the epoch */
  constructor(startMs = 1_700_000_000_000) {
    this.#wallMs = startMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  elapsedMs(): number {
    return this.#monotonicMs + this.#suspendedMs;
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
    for (let next = this.#nextBy(endMs); next; next = this.#nextBy(endMs)) this.#fire(next);
    this.#moveTo(endMs);
  }

  /** Both clocks go on, and what is due, and what follows from it, happens in order. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#monotonicMs + ms;
    for (;;) {
      await settled();
      const next = this.#nextBy(endMs);
      if (!next) break;
      this.#fire(next);
    }
    this.#moveTo(endMs);
  }

  /** Both clocks go on and no timer has fired yet: the event loop was blocked, or the process stopped. */
  stall(ms: number): void {
    this.#move(ms);
  }

  /** The machine is suspended: its monotonic clock and its timers stand still. */
  suspend(ms: number): void {
    this.#wallMs += ms;
    this.#suspendedMs += ms;
  }

  /** The wall clock is set: to so much later, or earlier. */
  step(ms: number): void {
    this.#wallMs += ms;
  }

  #nextBy(endMs: number): Waiting | undefined {
    let first: Waiting | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs <= endMs && (!first || timer.atMs < first.atMs)) first = timer;
    }
    return first;
  }

  #fire(timer: Waiting): void {
    this.#timers.delete(timer);
    this.#moveTo(timer.atMs);
    timer.callback();
  }

  /** Never back: calls that overlap, and timers that let it go on, have moved it further. */
  #moveTo(atMs: number): void {
    this.#move(Math.max(0, atMs - this.#monotonicMs));
  }

  #move(ms: number): void {
    this.#monotonicMs += ms;
    this.#wallMs += ms;
  }
}

/** Lets everything run that waits for nothing but its turn. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => resolve()));
}
