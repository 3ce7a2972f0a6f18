import { performance } from "node:perf_hooks";
import * as timers from "node:timers";

// As they were when this was loaded: a test that stops time by fake timers still waits for a real etcd.
export const { setTimeout, clearTimeout } = timers;

/** Milliseconds that never run backwards. */
export function monotonicMs(): number {
  return performance.now();
}

export function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
