import { performance } from "node:perf_hooks";
import * as timers from "node:timers";

// Test runners replace the globals, and `node:timers` with them, to stop the time of the code under test (vitest's and
// Jest's fake timers). etcd and its leases go on, and so must this library, or its calls hang and its leases run out.
// So what it knows of time is taken here, once, when it is loaded, and nothing else in it may use the globals.

export const { setTimeout, clearTimeout, setImmediate } = timers;

const { queueMicrotask: queue } = globalThis;
const { Date: RealDate } = globalThis;
const { now, parse } = RealDate;

/** Runs `task` when the running code has returned, before any I/O. */
export function queueMicrotask(task: () => void): void {
  queue(task);
}

const tick = process.nextTick;

/** Runs `task` when the running code has returned, before other microtasks. */
export function nextTick(task: () => void): void {
  tick(task);
}

/** Milliseconds that never run backwards. */
export function monotonicMs(): number {
  return performance.now();
}

/** Milliseconds since the epoch. */
export function wallMs(): number {
  return now();
}

/** Milliseconds since the epoch of a date as text. */
export function parseDate(text: string): number {
  return parse(text);
}

/** The time of day in UTC, as ISO 8601 has it. */
export function timestamp(): string {
  return new RealDate(now()).toISOString();
}
