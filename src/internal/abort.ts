import type { Clock } from "./clock.ts";

/** Calls `listener` once when `signal` aborts, at once if it already has. The returned function takes the listener off. */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (!signal) return () => {};
  if (signal.aborted) {
    listener();
    return () => {};
  }
  signal.addEventListener("abort", listener, { once: true });
  return () => signal.removeEventListener("abort", listener);
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
