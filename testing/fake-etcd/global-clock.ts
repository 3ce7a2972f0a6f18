import { type Clock, LONGEST_DELAY_MS, longTimer, type Timer } from "../../src/internal/index.ts";

/**
 * Time as the globals of the process have it at each moment: while a test runner has replaced them, its fake time. When
 * it replaces them, or puts them back, time goes on from where it was.
 */
export class GlobalClock implements Clock {
  #setTimeout = globalThis.setTimeout;
  #aheadMs = 0;
  #lastMs = 0;

  monotonicMs(): number {
    const { setTimeout, performance } = globalThis;
    const readMs = performance.now();
    const isOther = setTimeout !== this.#setTimeout || readMs + this.#aheadMs < this.#lastMs;
    if (isOther) this.#aheadMs = this.#lastMs - readMs;
    this.#setTimeout = setTimeout;
    // The sum is rounded, also downwards.
    this.#lastMs = Math.max(this.#lastMs, readMs + this.#aheadMs);
    return this.#lastMs;
  }

  elapsedMs(): number {
    return this.monotonicMs();
  }

  wallMs(): number {
    return globalThis.Date.now();
  }

  timer(delayMs: number, callback: () => void): Timer {
    if (delayMs > LONGEST_DELAY_MS) return longTimer(startTimer, delayMs, callback);
    return startTimer(Math.max(0, delayMs), callback);
  }
}

/** It is cancelled by what belongs to what started it. */
function startTimer(delayMs: number, callback: () => void): Timer {
  const { setTimeout, clearTimeout } = globalThis;
  // A number in a browser's globals, as jsdom has them.
  const handle: { unref?(): unknown } = setTimeout(callback, delayMs);
  const timer: Timer = {
    cancel: () => clearTimeout(handle as NodeJS.Timeout),
    unref: () => {
      handle.unref?.();
      return timer;
    },
  };
  return timer;
}
