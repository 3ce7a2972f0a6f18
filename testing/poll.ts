import { ClusterTimeoutError } from "./cluster-timeout-error.ts";
import { monotonicMs, sleep } from "./real-time.ts";

const intervalMs = 25;

/**
 * Asks again and again until the probe gives a value. A probe that throws is asked again too; what it threw last is the
 * cause of the time-out.
 *
 * @param awaited what is waited for, in words for the error
 * @throws ClusterTimeoutError after `timeoutMs`
 */
export async function poll<T>(probe: () => Promise<T | undefined>, awaited: string, timeoutMs: number): Promise<T> {
  const deadline = monotonicMs() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (monotonicMs() >= deadline) throw new ClusterTimeoutError(awaited, timeoutMs, { cause });
    await sleep(intervalMs);
  }
}
