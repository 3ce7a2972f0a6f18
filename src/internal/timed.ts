import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { onAbort } from "./abort.ts";
import type { Clock } from "./clock.ts";
import { inMs } from "./in-ms.ts";

/** What every call takes. */
interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

/**
 * Runs several calls as one: their `signal` aborts when the caller's does, or when `timeoutMs` is over.
 *
 * @throws what `calls` throws; `signal.reason`; EtcdTimeoutError, whose outcome is unknown
 */
export async function timed<T>(
  clock: Clock,
  what: string,
  { signal, timeoutMs }: CallOptions,
  calls: (options: CallOptions) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  if (timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY) return calls({ signal, timeoutMs });
  const limit = new AbortController();
  const outOfTime = new EtcdTimeoutError(`${what} took longer than ${inMs(timeoutMs)}`, { outcomeUnknown: true });
  const timer = clock.timer(timeoutMs, () => limit.abort(outOfTime));
  const release = onAbort(signal, () => limit.abort(signal?.reason));
  try {
    // Each may take all of it, also where that is more than the client gives a call.
    return await calls({ signal: limit.signal, timeoutMs });
  } finally {
    timer.cancel();
    release();
  }
}
