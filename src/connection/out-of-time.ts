import type { EtcdError } from "../errors/etcd-error.ts";
import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { inMs } from "../internal/in-ms.ts";
import type { Failure } from "./errors/error-translation.ts";

export interface OutOfTime {
  /** Of the call. */
  readonly name: string;
  /** Undefined where the call took longer than that. */
  readonly timeoutMs: number | undefined;
  /** What its last attempt failed with. */
  readonly last: Failure | undefined;
  /** Why none of several endpoints can be reached, or serves, while that is so. */
  readonly unreached?: UnavailableError | undefined;
  readonly outcomeUnknown: boolean;
}

/** A call that has used up its time. */
export function outOfTime({ name, timeoutMs, last, unreached, outcomeUnknown }: OutOfTime): EtcdError {
  const cause = last?.error;
  const within = timeoutMs === undefined ? "" : ` within ${inMs(timeoutMs)}`;
  const details = { cause, retryable: true, outcomeUnknown };
  if (cause === undefined || cause instanceof EtcdTimeoutError) {
    return new EtcdTimeoutError(`${name}: no answer${within}`, details);
  }
  const why = unreached ? unreached.message : `last: ${cause.message}`;
  return new UnavailableError(`${name}: no endpoint could serve it${within}; ${why}`, details);
}
