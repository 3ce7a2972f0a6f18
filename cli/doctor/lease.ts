import { EtcdError, type LeaseId, prefix } from "../../recipes/index.ts";
import { bad, type Check, ok, type Patient, warn } from "./finding.ts";

const TTL_SECONDS = 10;
/** Leases are renewed when a third of their TTL is over, and again when another third is. */
const RENEWALS = 3;
/** Enough to see which TTL they have. */
const SOME_KEYS = 20;

/**
 * A lease is granted, renewed and revoked. What a renewal takes is compared with the shortest TTL of the registrations
 * below the prefix, or with 10 s.
 */
export const checkLease: Check = async (patient) => {
  const { etcd, timeoutMs, mayWrite } = patient;
  if (!mayWrite) return [];
  const ttlSeconds = await shortestTtl(patient);
  const lease = await etcd.grantLease(TTL_SECONDS, { keepAlive: false, timeoutMs });
  try {
    // The first one has waited for the connection of streams, too.
    await etcd.keepAliveOnce(lease.id, { timeoutMs });
    const startMs = performance.now();
    await etcd.keepAliveOnce(lease.id, { timeoutMs });
    return [judgeRenewal(performance.now() - startMs, ttlSeconds)];
  } finally {
    await lease.revoke().catch(() => {});
  }
};

/** @param ttlSeconds undefined where no registration was looked at */
export function judgeRenewal(tookMs: number, ttlSeconds: number | undefined) {
  const roomMs = ((ttlSeconds ?? TTL_SECONDS) * 1_000) / RENEWALS;
  const beside = ttlSeconds === undefined ? "" : `, the shortest TTL of registrations is ${ttlSeconds} s`;
  const found = `a renewal takes ${tookMs.toFixed(1)} ms${beside}`;
  if (tookMs > roomMs)
    return bad("lease", found, `a lease is lost when a renewal takes a third of its TTL: use a TTL of more`);
  // Such times vary: one of several is twice as long.
  if (tookMs > roomMs / 4) return warn("lease", found, "use a longer TTL, or look at the disk and CPU of the leader");
  return ok("lease", found);
}

async function shortestTtl({ etcd, timeoutMs, prefix: given }: Patient): Promise<number | undefined> {
  if (given === undefined) return undefined;
  try {
    const { kvs } = await etcd.range(prefix(given), { limit: SOME_KEYS, keysOnly: true, timeoutMs });
    const leases = [...new Set(kvs.map(({ lease }) => lease))].filter((id): id is LeaseId => id !== undefined);
    const all = await Promise.all(leases.map((id) => etcd.leaseTimeToLive(id, { keys: false, timeoutMs })));
    return all.length === 0 ? undefined : Math.min(...all.map(({ grantedSeconds }) => grantedSeconds));
  } catch (error) {
    // What may not be read is said by other checks; what is gone was no registration any more.
    if (error instanceof EtcdError) return undefined;
    throw error;
  }
}
