import { EtcdTimeoutError } from "../../src/index.ts";
import { type Clock, sleep } from "../../src/internal/index.ts";
import { asError } from "../common/index.ts";
import type { OwnedKey } from "./owned-key.ts";

export interface LeaveParts {
  readonly owned: OwnedKey;
  /** What tells readers that the service drains; undefined when its format cannot say so. */
  readonly drainingText: string | undefined;
  readonly drainMs: number;
  /** How long etcd may take in all; the wait while draining does not count. */
  readonly limitMs: number;
  readonly clock: Clock;
  /** What went wrong and was left. */
  onWarning(error: Error): void;
}

/** Takes a key out of the list for good, in the order that loses the fewest requests. Bounded, and never fails. */
export async function leave({ owned, drainingText, drainMs, limitMs, clock, onWarning }: LeaveParts): Promise<void> {
  const attempt = async (stepMs: number, step: (signal: AbortSignal) => Promise<unknown>) => {
    const limit = new AbortController();
    const outOfTime = new EtcdTimeoutError(`${owned.key}: etcd did not answer within ${stepMs} ms while closing`);
    const timer = clock.timer(stepMs, () => limit.abort(outOfTime));
    try {
      await step(limit.signal);
    } catch (error) {
      onWarning(asError(error));
    } finally {
      timer.cancel();
    }
  };
  // At once: the leases take a write with them that is still on its way.
  const end = (signal: AbortSignal) => Promise.all([owned.withdraw(signal), owned.revokeLeases({ signal })]);

  if (drainMs > 0 && drainingText !== undefined) {
    await attempt(limitMs / 2, (signal) => owned.rewrite(drainingText, signal));
    await sleep(clock, drainMs);
    await attempt(limitMs / 2, end);
    return;
  }
  await attempt(limitMs, end);
  if (drainMs > 0) await sleep(clock, drainMs);
}
