import type { LeaseTimeToLiveResponse, Protocol } from "../connection/index.ts";
import { ConflictError } from "../errors/conflict-error.ts";
import { EtcdError } from "../errors/etcd-error.ts";
import type { Runtime } from "../internal/runtime.ts";
import { uniqueNumber } from "../internal/unique-number.ts";
import type { CallOptions } from "../model/call-options.ts";
import { type LeaseId, leaseId } from "../model/lease-id.ts";

/** More random ids than this are never in use already. */
const MOST_IDS = 3;

export interface AskForLeaseParts {
  readonly protocol: Protocol;
  readonly runtime: Runtime;
  /** Called with the random id of a lease that may be there although the grant failed. */
  giveUp(id: LeaseId): void;
}

export interface AskForLeaseOptions extends CallOptions {
  /** @default random; another one is drawn when another client's lease has it */
  readonly id?: LeaseId | undefined;
  readonly timeoutMs: number;
}

export interface GrantedLease {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  /** When the grant was sent first: etcd counts the TTL from then, or from later. */
  readonly sentMs: number;
}

/**
 * Asks etcd for a lease. The client names the id, so a grant that had no answer is repeated under the same id, and
 * "already exists" then means that the first one was executed. In a grant that was sent once it means that the lease is
 * another's.
 *
 * @throws ConflictError when the lease with the chosen id is another client's
 */
export async function askForLease(
  { protocol, runtime, giveUp }: AskForLeaseParts,
  ttlSeconds: number,
  { id: chosen, signal, timeoutMs }: AskForLeaseOptions,
): Promise<GrantedLease> {
  const { clock } = runtime;
  const endMs = clock.elapsedMs() + timeoutMs;
  const left = (): CallOptions => ({ signal, timeoutMs: Math.max(1, endMs - clock.elapsedMs()) });
  for (let ids = 1; ; ids++) {
    signal?.throwIfAborted();
    const id = chosen ?? leaseId(uniqueNumber(runtime).toString(16));
    const sentMs = clock.elapsedMs();
    try {
      return { id, sentMs, ttlSeconds: (await protocol.leaseGrant(id, ttlSeconds, left())).ttlSeconds };
    } catch (error) {
      // The reason of an abort can be an EtcdError too, and says nothing about the grant.
      let maybeOurs = signal?.aborted === true || !(error instanceof EtcdError) || error.outcomeUnknown;
      if (error instanceof ConflictError && maybeOurs && !signal?.aborted) {
        const found = await protocol.leaseTimeToLive(id, true, left()).catch(() => undefined);
        const known = found !== undefined && found.grantedSeconds > 0;
        maybeOurs = !known || isFresh(found, clock.elapsedMs() - sentMs);
        if (known && maybeOurs && !signal?.aborted) return { id, sentMs, ttlSeconds: found.grantedSeconds };
        // No answer, or from a member that is behind. Of a random id at least what was asked for is granted.
        if (!known && chosen === undefined && !signal?.aborted) return { id, sentMs, ttlSeconds };
      }
      if (maybeOurs && chosen === undefined) giveUp(id);
      signal?.throwIfAborted();
      if (!(error instanceof ConflictError) || chosen !== undefined || ids === MOST_IDS) throw error;
    }
  }
}

/**
 * Whether the lease can have been granted within the last `sinceMs`, as far as etcd says. It counts in whole seconds.
 */
function isFresh({ grantedSeconds, remainingSeconds, keys }: LeaseTimeToLiveResponse, sinceMs: number): boolean {
  return keys.length === 0 && remainingSeconds + 1 + sinceMs / 1_000 >= grantedSeconds;
}
