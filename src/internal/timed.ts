import { EtcdError } from "../errors/etcd-error.ts";
import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { onAbort } from "./abort.ts";
import type { Clock } from "./clock.ts";
import { inMs } from "./in-ms.ts";
import { patientTimer } from "./patient-timer.ts";

/** What every call takes. */
interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

/**
 * Runs several calls as one: their `signal` aborts when the caller's does, or when `timeoutMs` is over; each has the
 * time that is left.
 *
 * @param calls says by `failed` what went wrong and is tried again
 * @param unreached why no endpoint can be reached, while that is so: where no call has failed before the end
 * @throws what `calls` throws; `signal.reason`; EtcdTimeoutError, whose cause is what failed last, and whose outcome is
 *   unknown if that of any failure is, or if the time is over while a call is under way
 */
export async function timed<T>(
  clock: Clock,
  what: string,
  { signal, timeoutMs }: CallOptions,
  calls: (options: CallOptions, failed: (error: unknown) => void) => Promise<T>,
  unreached: () => Error | undefined = () => undefined,
): Promise<T> {
  signal?.throwIfAborted();
  if (timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY) return calls({ signal, timeoutMs }, () => {});
  let last: unknown;
  let unsure = false;
  const failed = (error: unknown) => {
    last = error;
    unsure ||= error instanceof EtcdError && error.outcomeUnknown;
  };
  const outOfTime = (outcomeUnknown: boolean) => {
    const cause = last ?? unreached();
    const why = cause instanceof Error ? `; last: ${cause.message}` : "";
    return new EtcdTimeoutError(`${what} took longer than ${inMs(timeoutMs)}${why}`, {
      cause,
      retryable: true,
      outcomeUnknown,
    });
  };
  const endMs = clock.monotonicMs() + timeoutMs;
  const leftMs = () => endMs - clock.monotonicMs();
  const limit = new AbortController();
  const timer = patientTimer(clock, timeoutMs, () => limit.abort(outOfTime(true)));
  const release = onAbort(signal, () => limit.abort(signal?.reason));
  try {
    return await calls(
      {
        signal: limit.signal,
        /** A moment less than there is left: what comes of the call says why, the limit cannot. */
        get timeoutMs() {
          return Math.max(1, Math.ceil(leftMs() - momentOf(leftMs())));
        },
      },
      failed,
    );
  } catch (error) {
    const isLast = error instanceof EtcdTimeoutError || error instanceof UnavailableError;
    if (limit.signal.aborted || !isLast || leftMs() > momentOf(timeoutMs)) throw error;
    failed(error);
    throw outOfTime(unsure);
  } finally {
    timer.cancel();
    release();
  }
}

function momentOf(ms: number): number {
  return Math.min(100, ms / 10);
}
