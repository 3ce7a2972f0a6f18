import { setTimeout as sleep } from "node:timers/promises";
import { type EtcdClient, EtcdTimeoutError, UnavailableError } from "../recipes/index.ts";
import type { Context } from "./command.ts";
import { exitCode, exitCodeOf } from "./exit-codes.ts";

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
 * Recipes wait for etcd for as long as it takes; a command does not. It gives up when a request would: at once where
 * the connection cannot be secured, else after `timeoutMs`.
 *
 * @throws UnavailableError or EtcdTimeoutError, as a request would, which says why etcd is not reached; `signal.reason`
 */
export async function readyWithin<T>(
  ready: Promise<T>,
  etcd: EtcdClient,
  { timeoutMs, signal }: Context["call"],
  what: string,
): Promise<T> {
  const done = new AbortController();
  const late = refusalOf(etcd, timeoutMs, AbortSignal.any([signal, done.signal]), what);
  try {
    return await Promise.race([ready, late]);
  } finally {
    done.abort();
    late.catch(() => {});
  }
}

async function refusalOf(etcd: EtcdClient, timeoutMs: number, signal: AbortSignal, what: string): Promise<never> {
  const lastMs = performance.now() + timeoutMs;
  const { error } = await etcd.health({ timeoutMs, signal });
  if (error && exitCodeOf(error) === exitCode.unreachable) {
    const Same = error instanceof UnavailableError ? UnavailableError : EtcdTimeoutError;
    throw new Same(`${what}: etcd was not reached: ${error.message}`, { retryable: true, cause: error });
  }
  await sleep(Math.max(0, lastMs - performance.now()), undefined, { signal });
  throw new EtcdTimeoutError(`${what}: etcd was not reached within ${timeoutMs / 1_000} s`, { retryable: true });
}
