import type { Clock, Timer } from "./clock.ts";
import { setImmediate } from "./real-time.ts";

/**
 * A timer that ends a wait. A process that was stopped, or busy, has not read what has come meanwhile: it does so before
 * `end` is called, so that who waits may have what it waits for, and cancel.
 */
export function patientTimer(clock: Clock, delayMs: number, end: () => void): Timer {
  let isCancelled = false;
  const afterReading = () => {
    if (!isCancelled) end();
  };
  const timer = clock.timer(delayMs, () => setImmediate(afterReading));
  const patient: Timer = {
    cancel() {
      isCancelled = true;
      timer.cancel();
    },
    unref() {
      timer.unref();
      return patient;
    },
  };
  return patient;
}
