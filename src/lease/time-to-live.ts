import type { Protocol } from "../connection/index.ts";
import { LeaseNotFoundError } from "../errors/lease-not-found-error.ts";
import { toText } from "../model/bytes.ts";
import type { LeaseId } from "../model/lease-id.ts";
import type { LeaseTimeToLive, TimeToLiveOptions } from "./lease.ts";

/** @throws LeaseNotFoundError */
export async function timeToLive(
  protocol: Protocol,
  id: LeaseId,
  { keys: withKeys = true, ...options }: TimeToLiveOptions = {},
): Promise<LeaseTimeToLive> {
  const { remainingSeconds, grantedSeconds, keys } = await protocol.leaseTimeToLive(id, withKeys, options);
  if (remainingSeconds < 0) throw new LeaseNotFoundError(`there is no lease ${id}`);
  return { remainingSeconds, grantedSeconds, keys: keys.map(toText) };
}
