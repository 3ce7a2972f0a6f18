import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { abortable, onAbort } from "../internal/abort.ts";
import { Backoff } from "../internal/backoff.ts";
import { inMs } from "../internal/in-ms.ts";
import type { Runtime } from "../internal/runtime.ts";
import type { CallOptions } from "../model/call-options.ts";
import type { Kv } from "./kv.ts";
import { StmAttempt, type StmTransaction } from "./stm-attempt.ts";

/** What has a transaction that names no time of its own, in milliseconds. */
const DEFAULT_TIMEOUT_MS = 10_000;
/** A call has so much less than there is left, or a tenth less: what it fails with says why. */
const MOMENT_MS = 50;

/**
 * Runs `work` until what it read still stands when its writes are made, within its time. Optimistic, as the software
 * transactional memory of Go's `concurrency` (client/v3/concurrency/stm.go) with its isolation `Serializable`.
 *
 * @throws what `work` throws; EtcdTimeoutError, with `outcomeUnknown: true` if its writes may be there or come yet;
 *   `signal.reason`; what the calls of a client throw
 */
export async function runStm<Result>(
  kv: Kv,
  runtime: Runtime,
  work: (tx: StmTransaction) => Promise<Result> | Result,
  { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: CallOptions,
  onClose: (listener: (error: Error) => void) => () => void = () => () => {},
): Promise<Result> {
  signal?.throwIfAborted();
  const { clock } = runtime;
  const endMs = clock.monotonicMs() + timeoutMs;
  const leftMs = () => endMs - clock.monotonicMs();
  const ending = new AbortController();
  let tries = 0;
  let attempt: StmAttempt | undefined;
  const outOfTime = (cause?: EtcdTimeoutError) => {
    const outcomeUnknown = cause ? cause.outcomeUnknown : attempt?.mayBeCommitted === true;
    const tried = tries === 1 ? "once" : `${tries} times`;
    const why = cause ? `; last: ${cause.message}` : "";
    return new EtcdTimeoutError(
      `stm: the transaction did not come through within ${inMs(timeoutMs)}, tried ${tried}${why}`,
      { cause, retryable: true, outcomeUnknown },
    );
  };
  const end = () => ending.abort(outOfTime());
  const endSoon = () => {
    // A call that is not over by now was held up with this process: what it fails with says why.
    if (attempt?.isCalling) timer = clock.timer(MOMENT_MS, end);
    else end();
  };
  let timer = timeoutMs === Number.POSITIVE_INFINITY ? undefined : clock.timer(timeoutMs, endSoon);
  const release = onAbort(signal, () => ending.abort(signal?.reason));
  let closed: Error | undefined;
  const takeOff = onClose((error) => {
    closed = error;
    // What comes of writes that are on their way is waited for.
    if (!attempt?.mayBeCommitted) ending.abort(error);
  });
  const backoff = new Backoff(runtime, { initialMs: 5, maxMs: 500 });
  try {
    for (;;) {
      tries++;
      attempt = new StmAttempt(kv, () => ({ signal: ending.signal, timeoutMs: timeOfCall(leftMs()) }));
      const done = await abortable(attempt.run(work), ending.signal);
      if (done.committed) return done.result;
      if (closed) throw closed;
      await backoff.wait(ending.signal, { leftMs: leftMs() });
    }
  } catch (error) {
    // Its calls also reject with what it was ended with.
    const isOfCall = error !== ending.signal.reason && attempt?.failures.has(error);
    throw isOfCall && error instanceof EtcdTimeoutError && leftMs() <= MOMENT_MS ? outOfTime(error) : error;
  } finally {
    timer?.cancel();
    release();
    takeOff();
  }
}

function timeOfCall(leftMs: number): number {
  return Math.max(1, leftMs - Math.min(MOMENT_MS, leftMs / 10));
}
