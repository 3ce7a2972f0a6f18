import { setTimeout as sleep } from "node:timers/promises";

const intervalMs = 10;

/** How long `until` waits, and what it says when that was in vain. */
export interface UntilOptions {
  /** @default 10000 */
  readonly timeoutMs?: number;
  /** What was waited for; a function is called at the end, to say what was there instead. */
  readonly message?: string | (() => string);
}

/**
 * Waits until a condition holds; resolves with its truthy value. A condition that throws does not hold; what it threw
 * last is the cause of the failure.
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 10_000, message = "the condition holds" }: UntilOptions = {},
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) {
      throw new Error(`not within ${timeoutMs} ms: ${typeof message === "string" ? message : message()}`, { cause });
    }
    await sleep(intervalMs);
  }
}
