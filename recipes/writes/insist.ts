import type { CallOptions, EtcdError } from "../../src/index.ts";
import { Backoff, isFinal, isRefusal, systemRuntime, timed } from "../../src/internal/index.ts";

/** What the calls of a client have, too. */
const DEFAULT_TIMEOUT_MS = 5_000;

/**
 * Makes a call again, within its time, while it is unknown whether it was executed. Only for one that tells its own earlier
 * write from somebody else's.
 *
 * @throws what `call` throws; EtcdTimeoutError; `signal.reason`
 */
export async function insist<T>(
  what: string,
  { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: CallOptions,
  call: (options: CallOptions) => Promise<T>,
): Promise<T> {
  const { clock } = systemRuntime;
  return timed(clock, what, { signal, timeoutMs }, async (options) => {
    const endMs = clock.monotonicMs() + timeoutMs;
    const backoff = new Backoff(systemRuntime);
    for (let doubtful = false; ; ) {
      try {
        return await call(options);
      } catch (error) {
        if (options.signal?.aborted || isFinal(error) || isRefusal(error)) throw error;
        doubtful ||= (error as EtcdError).outcomeUnknown;
        if (!doubtful) throw error;
      }
      await backoff.wait(options.signal, { leftMs: endMs - clock.monotonicMs() });
    }
  });
}
