import type { Protocol } from "../connection/index.ts";
import { LeaseNotFoundError } from "../errors/lease-not-found-error.ts";
import { errorOfCall } from "../errors/of-call.ts";
import { toText } from "../model/bytes.ts";
import type { LeaseId } from "../model/lease-id.ts";
import type { LeaseTimeToLive, TimeToLiveOptions } from "./lease.ts";

/** @throws LeaseNotFoundError */
export async function timeToLive(
  protocol: Protocol,
  id: LeaseId,
  { keys: withKeys = true, ...options }: TimeToLiveOptions = {},
): Promise<LeaseTimeToLive> {
  const asked = protocol.leaseTimeToLive(id, withKeys, options);
  const { remainingSeconds, grantedSeconds, keys } = await asked.catch((error: unknown) => {
    throw errorOfCall(() => `timeToLive ${id}`, error, options.signal);
  });
  if (remainingSeconds < 0) throw new LeaseNotFoundError(`there is no lease ${id}`);
  return { remainingSeconds, grantedSeconds, keys: keys.map(toText) };
}
