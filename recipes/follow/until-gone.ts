import type { EtcdClient, EtcdError, KeyValue } from "../../src/index.ts";
import { isFinal } from "../../src/internal/index.ts";
import { followRange } from "./follow-range.ts";

/** The key is listed anew this often, even if nothing is heard of it: old servers can lose a watch's event. */
const LOOK_AGAIN_MS = 30_000;

/**
 * Resolves when a key is gone, or was deleted and made anew, however long that takes.
 *
 * @param onRefused called while etcd refuses to tell of the key, which a person mends there
 * @throws `signal.reason`; ClientClosedError
 */
export async function untilGone(
  etcd: EtcdClient,
  { keyBytes, createRevision }: Pick<KeyValue, "keyBytes" | "createRevision">,
  signal: AbortSignal,
  onRefused: (error: EtcdError) => void,
): Promise<void> {
  const steps = followRange(etcd, keyBytes, {
    signal,
    onRefused,
    endsAfter: isFinal,
    listEveryMs: LOOK_AGAIN_MS,
  });
  for await (const { now } of steps) {
    const [kv] = now.entries.values();
    if (kv?.createRevision !== createRevision) return;
  }
}
