import { setTimeout as sleep } from "node:timers/promises";
import { EtcdTimeoutError } from "../recipes/index.ts";

/**
 * What cannot be stopped goes on in the background, until the client is closed.
 *
 * @throws `signal.reason`
 */
export async function unlessStopped<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const done = new AbortController();
  const stopped = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true, signal: done.signal });
  });
  try {
    signal.throwIfAborted();
    return await Promise.race([work, stopped]);
  } finally {
    done.abort();
    work.catch(() => {});
  }
}

/**
 * Recipes wait for etcd for as long as it takes; a command does not.
 *
 * @throws EtcdTimeoutError; `signal.reason`
 */
export async function readyWithin<T>(
  ready: Promise<T>,
  timeoutMs: number,
  signal: AbortSignal,
  what: string,
): Promise<T> {
  const done = new AbortController();
  const late = sleep(timeoutMs, undefined, { signal: AbortSignal.any([signal, done.signal]) }).then(() => {
    throw new EtcdTimeoutError(`${what}: etcd was not reached within ${timeoutMs / 1_000} s`, { retryable: true });
  });
  try {
    return await Promise.race([ready, late]);
  } finally {
    done.abort();
    late.catch(() => {});
  }
}
