import { z } from "zod";
import { InvalidOptionError } from "../../src/index.ts";
import { abortable, type Clock, onAbort, sleep, within } from "../../src/internal/index.ts";
import { asError } from "./mendable.ts";

/** Says whether something can serve, or lead. */
export type Health = (signal: AbortSignal) => Promise<boolean> | boolean;

/** The options about health as fields of a schema. */
export const healthFields = {
  health: z.custom<Health>((value) => typeof value === "function", "must be a function").optional(),
  healthEverySeconds: z
    .number("must be a number of seconds")
    .min(0.1, "must be at least 0.1")
    .max(86_400, "must be at most 86400")
    .optional(),
};

/** @throws InvalidOptionError for an interval without a check */
export function resolveHealth(
  what: string,
  { health, healthEverySeconds }: { health?: Health | undefined; healthEverySeconds?: number | undefined },
  ttlSeconds: number,
): { readonly health: Health | undefined; readonly healthEveryMs: number } {
  if (healthEverySeconds !== undefined && !health) {
    throw new InvalidOptionError(what, "healthEverySeconds", "says how often to ask, but there is no health to ask");
  }
  return { health, healthEveryMs: (healthEverySeconds ?? ttlSeconds / 2) * 1_000 };
}

export interface HealthCheckParts {
  readonly check: Health;
  readonly everyMs: number;
  readonly clock: Clock;
  /** Told of each result; the error when the check threw or took too long. */
  onResult(healthy: boolean, error?: Error): void;
}

/**
 * Asks again and again whether the service can serve, until `signal` aborts. One check at a time is waited for; the signal
 * of a check aborts when it is over, out of time or no longer wanted.
 */
export async function checkHealth(
  { check, everyMs, clock, onResult }: HealthCheckParts,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const attempt = new AbortController();
    const release = onAbort(signal, () => attempt.abort(signal.reason));
    try {
      // Whoever closes does not wait for a check that does not listen to its signal.
      const answer = abortable((async () => check(attempt.signal))(), attempt.signal);
      const healthy = await within(
        clock,
        answer,
        everyMs,
        () => new Error(`the health check took longer than ${everyMs} ms`),
      );
      if (!signal.aborted) onResult(healthy === true);
    } catch (error) {
      if (!signal.aborted) onResult(false, asError(error));
    } finally {
      release();
      attempt.abort(new Error("the health check is over"));
    }
    await sleep(clock, everyMs, signal).catch(() => {});
  }
}
