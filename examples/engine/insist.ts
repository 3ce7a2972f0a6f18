import { setTimeout as sleep } from "node:timers/promises";
import { EtcdTimeoutError, UnavailableError } from "etcd-recipes";

const firstDelayMs = 50;
const longestDelayMs = 2_000;

export interface InsistOptions {
  /** Ends it: it rejects with `signal.reason`. What was begun goes on. */
  readonly signal: AbortSignal;
  /** @default what says that etcd is out of reach */
  readonly isMendable?: (error: unknown) => boolean;
}

/** Tries until it works, for what is harmless to do twice. */
export async function insist<T>(
  action: () => Promise<T>,
  { signal, isMendable = isEtcdAway }: InsistOptions,
): Promise<T> {
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
    signal.throwIfAborted();
    try {
      return await action();
    } catch (error) {
      if (!isMendable(error)) throw error;
    }
    await pause(delayMs * (0.5 + Math.random() / 2), signal);
  }
}

/** Rejects with the signal's own reason, which says more than an AbortError. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}

function isEtcdAway(error: unknown): boolean {
  return error instanceof UnavailableError || error instanceof EtcdTimeoutError;
}
