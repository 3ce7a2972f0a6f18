import { randomUUID } from "node:crypto";
import { type EtcdClient, type Lease, PermissionDeniedError, prefix, SubscribeService } from "../../recipes/index.ts";
import { readyWithin } from "../ready-within.ts";
import { bad, type Check, ok, warn } from "./finding.ts";

const TTL_SECONDS = 10;
const SLOW_EVENT_MS = 500;
/** Never below a prefix of the user's: what follows that would take the key for one of its own. */
const PROBES = "etcd-recipes/.doctor/";

/** A key of its own is put, and seen by a watch. */
export const checkWatch: Check = async ({ etcd, timeoutMs, mayWrite, prefix: given }) => {
  if (!mayWrite) return [];
  if (given !== undefined && PROBES.startsWith(given))
    return [ok("watch", `not tried: its key would stand in ${PROBES}, which is below ${given}`)];
  // What is not reached at all is no matter of streams.
  const { error: away } = await etcd.health({ timeoutMs });
  if (away) throw away;
  const key = `${PROBES}${randomUUID()}`;
  const late = AbortSignal.timeout(timeoutMs);
  const watch = etcd.watch(key, { signal: late });
  let lease: Lease | undefined;
  try {
    await watch.ready;
    lease = await etcd.grantLease(TTL_SECONDS, { keepAlive: false, timeoutMs });
    const startMs = performance.now();
    await etcd.put(key, "", { lease, timeoutMs });
    for await (const _ of watch) break;
    const tookMs = performance.now() - startMs;
    const found = `a put and its event take ${tookMs.toFixed(1)} ms`;
    return [
      tookMs < SLOW_EVENT_MS ? ok("watch", found) : warn("watch", found, "lists and leaders are behind by as much"),
    ];
  } catch (error) {
    if (error instanceof PermissionDeniedError) {
      const grant = `etcdctl role grant-permission --prefix ROLE readwrite ${PROBES}`;
      return [warn("watch", `not tried: this user may not read and write ${PROBES}`, `to try it: ${grant}`)];
    }
    if (!late.aborted) throw error;
    return [bad("watch", `no event came within ${timeoutMs / 1_000} s`, "does a proxy on the way hold back streams?")];
  } finally {
    await watch.close();
    await lease?.revoke().catch(() => {});
  }
};

/** Whether what stands below the prefix can be read as registrations. */
export const checkFormats: Check = async ({ etcd, timeoutMs, signal, prefix: given }) => {
  if (given === undefined) return [];
  const counted = await countOf(etcd, given, timeoutMs);
  if (counted === undefined) {
    return [bad("formats", `this user may not read ${given}`, "see the line of its permissions")];
  }
  const { count } = counted;
  await using services = new SubscribeService(given, { client: etcd });
  const invalid: string[] = [];
  services.on("invalid", (key) => invalid.push(key));
  services.on("warning", () => {});
  await readyWithin(services.ready, etcd, { timeoutMs, signal }, `list ${given}`);
  if (invalid.length === 0) return [ok("formats", `${count} keys below ${given}, all registrations`)];
  const some = invalid.slice(0, 3).join(", ");
  return [
    warn(
      "formats",
      `${invalid.length} of ${count} keys below ${given} are no registrations: ${some}`,
      "who writes them? Readers leave them out",
    ),
  ];
};

/** @returns undefined where this user may not read there */
async function countOf(etcd: EtcdClient, given: string, timeoutMs: number): Promise<{ count: number } | undefined> {
  try {
    return await etcd.range(prefix(given), { countOnly: true, timeoutMs });
  } catch (error) {
    if (error instanceof PermissionDeniedError) return undefined;
    throw error;
  }
}
