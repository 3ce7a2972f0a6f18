import { EtcdTimeoutError, RequestRefusedError } from "../../src/index.ts";
import { asError, type Clock, inMs, sleep } from "../../src/internal/index.ts";
import type { OwnedKey } from "./owned-key.ts";

/** `close()` gives etcd no longer than this, and never longer than the TTL: by then the key is gone anyway. */
const LONGEST_CLOSE_MS = 5_000;

/** How long etcd may take when a registration ends. */
export function closeLimitMs(ttlSeconds: number): number {
  return Math.min(LONGEST_CLOSE_MS, ttlSeconds * 1_000);
}

export interface LeaveParts {
  readonly owned: OwnedKey;
  /** What tells readers that the service drains; the next one is for when etcd refuses the one before. None: the format cannot say so. */
  readonly drainingTexts: readonly string[];
  readonly drainMs: number;
  /** How long etcd may take in all; the wait while draining does not count. */
  readonly limitMs: number;
  readonly clock: Clock;
  /** What went wrong and was left. */
  onWarning(error: Error): void;
}

/** Takes a key out of the list for good, in the order that loses the fewest requests. Bounded, and never fails. */
export async function leave({ owned, drainingTexts, drainMs, limitMs, clock, onWarning }: LeaveParts): Promise<void> {
  const attempt = async (stepMs: number, step: (signal: AbortSignal) => Promise<unknown>) => {
    const limit = new AbortController();
    const outOfTime = new EtcdTimeoutError(`${owned.key}: etcd did not answer within ${inMs(stepMs)} while closing`);
    const timer = clock.timer(stepMs, () => limit.abort(outOfTime));
    try {
      await step(limit.signal);
    } catch (error) {
      onWarning(asError(error));
    } finally {
      timer.cancel();
    }
  };
  const end = (signal: AbortSignal) => owned.leave(signal);

  if (drainMs > 0 && drainingTexts.length > 0) {
    await attempt(limitMs / 2, (signal) => rewriteFirst(owned, drainingTexts, signal));
    await sleep(clock, drainMs);
    await attempt(limitMs / 2, end);
    return;
  }
  await attempt(limitMs, end);
  if (drainMs > 0) await sleep(clock, drainMs);
}

/** Puts the first text that etcd takes. */
async function rewriteFirst(owned: OwnedKey, [text, ...others]: readonly string[], signal: AbortSignal): Promise<void> {
  if (text === undefined) return;
  try {
    await owned.rewrite(text, signal);
  } catch (error) {
    if (!(error instanceof RequestRefusedError) || others.length === 0) throw error;
    await rewriteFirst(owned, others, signal);
  }
}
