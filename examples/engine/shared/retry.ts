import { setTimeout as sleep } from "node:timers/promises";
import { EtcdTimeoutError, UnavailableError } from "etcd-recipes";

const firstDelayMs = 50;
const longestDelayMs = 2_000;

export interface RetryOptions {
  /** Ends it: it rejects with `signal.reason`. What was begun goes on. */
  readonly signal: AbortSignal;
  /** Whether it ends with this failure. @default with all but those that say that etcd is out of reach */
  readonly ends?: (error: unknown) => boolean;
}

/** Repeats what is harmless to do twice until it works or its failure is final, as the library's own recipes do. */
export async function retry<T>(attempt: () => Promise<T>, { signal, ends = isNoOutage }: RetryOptions): Promise<T> {
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (ends(error)) throw error;
    }
    await pause(delayMs * (0.5 + Math.random() / 2), signal);
  }
}

/** Rejects with the signal's own reason, which says more than an AbortError. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}

function isNoOutage(error: unknown): boolean {
  return !(error instanceof UnavailableError || error instanceof EtcdTimeoutError);
}
