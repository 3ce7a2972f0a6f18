import type { CallOptions } from "../../src/index.ts";
import { isFinal, isOutOfSpace, isRefusal, runtimeOf, timedCalls } from "../../src/internal/index.ts";
import { repeatUntilKnown } from "./repeat-until-known.ts";

/** What the calls of a client have by default, too. */
const DEFAULT_TIMEOUT_MS = 5_000;

/**
 * Makes a call of `client` again, within its time, while it is unknown whether it was executed. Only for one that knows
 * its own earlier write from that of others.
 *
 * @throws what `call` throws; EtcdTimeoutError, with the last failure as its cause; `signal.reason`
 */
export function callUntilKnown<Answer>(
  what: string,
  client: object,
  { signal, timeoutMs = DEFAULT_TIMEOUT_MS }: CallOptions,
  call: (options: CallOptions) => Promise<Answer>,
): Promise<Answer> {
  const runtime = runtimeOf(client);
  const { clock } = runtime;
  return timedCalls(client, what, { signal, timeoutMs }, (limit, failed) => {
    const endMs = clock.monotonicMs() + timeoutMs;
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
