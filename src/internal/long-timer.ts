import { LONGEST_DELAY_MS } from "../errors/limits.ts";
import type { Timer } from "./timer.ts";

/** A timer for any delay, made of as many of `start` as it takes, none of which waits for longer than 2^31-1 ms. */
export function longTimer(
  start: (delayMs: number, callback: () => void) => Timer,
  delayMs: number,
  callback: () => void,
): Timer {
  let leftMs = delayMs;
  let unrefed = false;
  let part: Timer;
  const begin = () => {
    const partMs = Math.min(leftMs, LONGEST_DELAY_MS);
    leftMs -= partMs;
    part = start(partMs, () => (leftMs > 0 ? begin() : callback()));
    if (unrefed) part.unref();
  };
  begin();
  const timer: Timer = {
    cancel: () => part.cancel(),
    unref: () => {
      unrefed = true;
      part.unref();
      return timer;
    },
  };
  return timer;
}
