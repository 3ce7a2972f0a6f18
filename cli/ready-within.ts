import { setTimeout as sleep } from "node:timers/promises";
import { EtcdTimeoutError } from "../recipes/index.ts";

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
