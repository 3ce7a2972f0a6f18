import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { inMs } from "../internal/in-ms.ts";
import type { Failure } from "./errors/error-translation.ts";

/**
 * A call that has used up its time, with what its last attempt failed with.
 *
 * @param timeoutMs undefined where the call took longer than that
 */
export function outOfTime(
  name: string,
  timeoutMs: number | undefined,
  last: Failure | undefined,
  outcomeUnknown: boolean,
): EtcdTimeoutError | UnavailableError {
  const cause = last?.error;
  const within = timeoutMs === undefined ? "" : ` within ${inMs(timeoutMs)}`;
  const details = { cause, retryable: true, outcomeUnknown };
  return cause === undefined || cause instanceof EtcdTimeoutError
    ? new EtcdTimeoutError(`${name}: no answer${within}`, details)
    : new UnavailableError(`${name}: no endpoint could serve it${within}; last: ${cause.message}`, details);
}
