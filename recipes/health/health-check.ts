import { abortable, asError, type Clock, inMs, onAbort, sleep, within } from "../../src/internal/index.ts";

/** Says whether something can serve, or lead. */
export type Health = (signal: AbortSignal) => Promise<boolean> | boolean;

export interface HealthCheckParts {
  readonly check: Health;
  /** From the beginning of one check to that of the next, and the longest that one may take. */
  readonly everyMs: number;
  readonly clock: Clock;
  /** Called with each result; the error when the check threw or took too long. */
  onResult(healthy: boolean, error?: Error): void;
}

/**
 * Asks again and again whether the service can serve, until `signal` aborts. One check at a time is waited for; the
 * signal of a check aborts when it is over, out of time or no longer wanted.
 */
export async function checkHealth(
  { check, everyMs, clock, onResult }: HealthCheckParts,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const begunMs = clock.monotonicMs();
    const attempt = new AbortController();
    const release = onAbort(signal, () => attempt.abort(signal.reason));
    try {
      // A close does not wait for a check that does not listen to its signal.
      const answer = abortable((async () => check(attempt.signal))(), attempt.signal);
      const healthy = await within(
        clock,
        answer,
        everyMs,
        () => new Error(`the health check took longer than ${inMs(everyMs)}`),
      );
      if (!signal.aborted) onResult(healthy === true);
    } catch (error) {
      if (!signal.aborted) onResult(false, asError(error));
    } finally {
      release();
      attempt.abort(new Error("the health check is over"));
    }
    await sleep(clock, Math.max(0, begunMs + everyMs - clock.monotonicMs()), signal).catch(() => {});
  }
}
