import type { Clock } from "./clock.ts";

/** Of every signal that is listened to: who waits for it, and the one listener that it has for all of them. */
const waiting = new WeakMap<AbortSignal, { readonly calls: Set<() => void>; readonly onEvent: () => void }>();

/**
 * Calls `listener` once when `signal` aborts, at once if it already has. The returned function takes the listener off.
 * However many calls share a signal, it has one listener of ours: above ten, Node warns of a leak.
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (!signal) return nothing;
  if (signal.aborted) {
    listener();
    return nothing;
  }
  const { calls, onEvent } = waiting.get(signal) ?? listenTo(signal);
  // Its own identity: the same function may be put on twice.
  const call = () => listener();
  calls.add(call);
  return () => {
    if (!calls.delete(call) || calls.size > 0) return;
    waiting.delete(signal);
    signal.removeEventListener("abort", onEvent);
  };
}

const nothing = () => {};

function listenTo(signal: AbortSignal): { readonly calls: Set<() => void>; readonly onEvent: () => void } {
  const calls = new Set<() => void>();
  const onEvent = () => {
    waiting.delete(signal);
    for (const call of calls) call();
    calls.clear();
  };
  const entry = { calls, onEvent };
  waiting.set(signal, entry);
  signal.addEventListener("abort", onEvent, { once: true });
  return entry;
}

/**
 * Resolves after `delayMs`; rejects with `signal.reason` as soon as `signal` aborts.
 * One timer, one listener, both released when it settles.
 */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const timer = clock.timer(delayMs, () => {
      release();
      resolve();
    });
    const release = onAbort(signal, () => {
      timer.cancel();
      reject(signal?.reason);
    });
  });
}

/**
 * Settles as `promise` does, or rejects with `signal.reason` as soon as `signal` aborts.
 * The work behind `promise` goes on: only this wait ends.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise<T>((resolve, reject) => {
    const release = onAbort(signal, () => reject(signal.reason));
    promise.then(resolve, reject).finally(release);
  });
}

/**
 * Settles as `promise` does, or rejects with `onTimeout()` after `limitMs`.
 * The work behind `promise` goes on: only this wait ends.
 */
export function within<T>(clock: Clock, promise: Promise<T>, limitMs: number, onTimeout: () => unknown): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = clock.timer(limitMs, () => reject(onTimeout()));
    promise.then(resolve, reject).finally(() => timer.cancel());
  });
}
