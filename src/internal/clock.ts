import { uptime } from "node:os";
import { LONGEST_DELAY_MS } from "../errors/limits.ts";
import { longTimer } from "./long-timer.ts";
import { clearTimeout, monotonicMs, setTimeout, wallMs } from "./real-time.ts";
import { SuspendedTime } from "./suspended-time.ts";
import type { Timer } from "./timer.ts";

export type { Timer } from "./timer.ts";

/** Time as the engines see it: injected, so that rules about time can be tested without waiting. */
export interface Clock {
  /** Milliseconds that never run backwards. On Linux they stand still while the machine is suspended, as timers do. */
  monotonicMs(): number;
  /**
   * Milliseconds that never run backwards and go on while the machine is suspended: for deadlines that a server counts,
   * too. A wall clock that is set moves them by nothing.
   */
  elapsedMs(): number;
  /** Milliseconds since the epoch; can jump either way. */
  wallMs(): number;
  /** Runs `callback` once, `delayMs` from now. The timer keeps the process alive until it fired or was cancelled. */
  timer(delayMs: number, callback: () => void): Timer;
}

/** Elsewhere performance.now() counts the time of a suspension: libuv reads mach_continuous_time() on macOS. */
const standsStill = process.platform === "linux" || process.platform === "android";

const suspended = new SuspendedTime({
  monotonicMs,
  wallMs,
  uptimeSeconds() {
    try {
      return uptime();
    } catch {
      // A sandbox without /proc and without CLOCK_BOOTTIME.
      return undefined;
    }
  },
});

export const systemClock: Clock = {
  monotonicMs,
  elapsedMs() {
    const suspendedMs = standsStill ? suspended.totalMs() : 0;
    return monotonicMs() + suspendedMs;
  },
  wallMs,
  timer(delayMs, callback) {
    if (delayMs > LONGEST_DELAY_MS) return longTimer(startTimer, delayMs, callback);
    return startTimer(Math.max(0, delayMs), callback);
  },
};

function startTimer(delayMs: number, callback: () => void): Timer {
  const handle = setTimeout(callback, delayMs);
  const timer: Timer = {
    cancel: () => clearTimeout(handle),
    unref: () => {
      handle.unref();
      return timer;
    },
  };
  return timer;
}
