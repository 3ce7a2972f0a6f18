import { runtimeOf } from "./runtime-of.ts";
import { timed } from "./timed.ts";
import { whyUnreached } from "./waited-in-vain.ts";

/**
 * Runs several calls of a client as one, by its clock: see `timed()`. If no call has failed when the time is over, the
 * reason is what the client says of its endpoints.
 */
export function timedCalls<T>(
  client: object,
  what: string,
  options: Parameters<typeof timed>[2],
  calls: Parameters<typeof timed<T>>[3],
): Promise<T> {
  return timed(runtimeOf(client).clock, what, options, calls, () => whyUnreached(client));
}
