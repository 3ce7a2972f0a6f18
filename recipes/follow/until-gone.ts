import type { EtcdClient, EtcdError, KeyValue } from "../../src/index.ts";
import { isFinal } from "../../src/internal/index.ts";
import { followRange } from "./follow-range.ts";
import { LOOK_AGAIN_MS } from "./look-again.ts";

/**
 * Resolves when a key is gone, or was deleted and made anew, however long that takes.
 *
 * @param onWarning called while etcd refuses reads of the key, until an operator permits them
 * @throws `signal.reason`; ClientClosedError
 */
export async function untilGone(
  etcd: EtcdClient,
  { keyBytes, createRevision }: Pick<KeyValue, "keyBytes" | "createRevision">,
  signal: AbortSignal,
  onWarning: (error: EtcdError) => void,
): Promise<void> {
  const steps = followRange(etcd, keyBytes, {
    signal,
    onWarning,
    endsAfter: isFinal,
    listEveryMs: LOOK_AGAIN_MS,
  });
  for await (const { now } of steps) {
    const [kv] = now.entries.values();
    if (kv?.createRevision !== createRevision) return;
  }
}
