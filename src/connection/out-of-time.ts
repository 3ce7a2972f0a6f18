import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { inMs } from "../internal/in-ms.ts";
import type { Failure } from "./errors/error-translation.ts";

/** A call that has used up its time, with what its last attempt failed with. */
export function outOfTime(
  name: string,
  timeoutMs: number,
  last: Failure | undefined,
  outcomeUnknown: boolean,
): EtcdTimeoutError | UnavailableError {
  const cause = last?.error;
  const details = { cause, retryable: true, outcomeUnknown };
  return cause === undefined || cause instanceof EtcdTimeoutError
    ? new EtcdTimeoutError(`${name}: no answer within ${inMs(timeoutMs)}`, details)
    : new UnavailableError(
        `${name}: no endpoint could serve it within ${inMs(timeoutMs)}; last: ${cause.message}`,
        details,
      );
}
