import { EtcdError, EtcdTimeoutError } from "../../src/index.ts";
import { type BackoffOptions, type Runtime, sleep, withUnknownOutcome } from "../../src/internal/index.ts";
import { retry } from "../retries/index.ts";

export interface RepeatOptions {
  /** For the error at the end of the time. */
  readonly what: string;
  readonly runtime: Runtime;
  /** How long it may go on; asked before each attempt. */
  readonly leftMs: () => number;
  readonly signal?: AbortSignal | undefined;
  readonly backoff?: BackoffOptions | undefined;
  /** Whether it ends with this failure. `unsure`: an attempt, this one or one before, may have been executed. */
  readonly ends: (error: unknown, unsure: boolean) => boolean;
  /** Called with each failure that is followed by another attempt. */
  readonly onWarning?: ((error: Error) => void) | undefined;
}

export interface Attempt {
  /** How long all attempts may go on from now. */
  readonly leftMs: number;
  /** An earlier attempt may have been executed: what is found now may be its work. */
  readonly unsure: boolean;
}

/**
 * Repeats a write until its outcome is known. Only for one that is guarded so that executing it twice is harmless, and
 * that knows its own earlier work from that of others.
 *
 * @throws the failure that ends it; EtcdTimeoutError at the end of the time, with the last failure as its cause; both
 *   with `outcomeUnknown` if any attempt may have been executed; `signal.reason`
 */
export async function repeatUntilKnown<Answer>(
  attempt: (now: Attempt) => Promise<Answer>,
  { what, runtime, leftMs, signal, backoff, ends, onWarning }: RepeatOptions,
): Promise<Answer> {
  let unsure = false;
  let cause: unknown;
  let outOfTime: EtcdTimeoutError | undefined;
  const attemptInTime = async () => {
    const left = leftMs();
    if (left > 0) return { answer: await attempt({ leftMs: left, unsure }) };
    const why = cause instanceof Error ? `; last: ${cause.message}` : "";
    const error = { cause, outcomeUnknown: unsure, retryable: true };
    outOfTime = new EtcdTimeoutError(`${what} did not end in time${why}`, error);
    throw outOfTime;
  };
  const isLast = (error: unknown) => {
    if (error === outOfTime) return true;
    unsure ||= error instanceof EtcdError && error.outcomeUnknown;
    cause = error;
    return ends(error, unsure);
  };
  // After the end there is nothing to wait for: what would follow throws the time-out.
  const pause = async (delayMs: number) => {
    if (leftMs() > 0) await sleep(runtime.clock, delayMs, signal);
  };
  const options = { runtime, signal, backoff, leftMs, ends: isLast, onWarning, pause };
  const { answer } = await retry(attemptInTime, options).catch((error) => {
    // Of an earlier attempt the last failure says nothing.
    throw unsure ? withUnknownOutcome(error, signal) : error;
  });
  return answer;
}
