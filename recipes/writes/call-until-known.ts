import type { CallOptions } from "../../src/index.ts";
import {
  abortable,
  inMs,
  isFinal,
  isOutOfSpace,
  isRefusal,
  runtimeOf,
  timedCalls,
  waitedInVain,
} from "../../src/internal/index.ts";
import { repeatUntilKnown } from "./repeat-until-known.ts";

/** What the calls of a client have by default, too. */
const DEFAULT_TIMEOUT_MS = 5_000;

/**
 * Makes a call of `client` again, within its time, while it is unknown whether it was executed. Only for one that knows
 * its own earlier write from that of others.
 *
 * @param earlier calls that it waits for, within its time; it never rejects
 * @throws what `call` throws; EtcdTimeoutError, with the last failure as its cause, and without `outcomeUnknown` when
 *   all of its time was spent waiting for earlier ones; `signal.reason`
 */
export function callUntilKnown<Answer>(
  what: string,
  client: object,
  { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: CallOptions,
  call: (options: CallOptions) => Promise<Answer>,
  earlier?: Promise<unknown>,
): Promise<Answer> {
  const runtime = runtimeOf(client);
  const { clock } = runtime;
  return timedCalls(client, what, { signal, timeoutMs }, async (limit, failed) => {
    const endMs = clock.monotonicMs() + timeoutMs;
    if (earlier) {
      await abortable(earlier, limit.signal).catch((error) => {
        if (error === signal?.reason) throw error;
        const problem = `${what}: an earlier call did not end within ${inMs(timeoutMs)}`;
        throw waitedInVain(client, problem, { retryable: true });
      });
    }
    return repeatUntilKnown(() => call(limit), {
      what,
      runtime,
      leftMs: () => endMs - clock.monotonicMs(),
      signal: limit.signal,
      // A full etcd refuses it again, also where it has stored it.
      ends: (error, unsure) => isFinal(error) || isRefusal(error) || isOutOfSpace(error) || !unsure,
      onWarning: failed,
    });
  });
}
