import type { EtcdClient, EtcdError, KeyValue } from "../../src/index.ts";
import { isRefusal, runtimeOf } from "../../src/internal/index.ts";

/** The key is listed anew this often, even if nothing is heard of it: old servers can lose a watch's event. */
const LOOK_AGAIN_MS = 30_000;

/**
 * Resolves when a key is gone, or was deleted and made anew.
 *
 * @param onRefused called while etcd refuses to tell of the key, which a person mends there
 * @throws `signal.reason`; what ends a Mirror for good
 */
export async function untilGone(
  etcd: EtcdClient,
  { keyBytes, createRevision }: Pick<KeyValue, "keyBytes" | "createRevision">,
  signal: AbortSignal,
  onRefused: (error: EtcdError) => void,
): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const mirror = etcd.mirror(keyBytes, {
      signal,
      onStatus: (status, error) => {
        if (status === "stale" && error && isRefusal(error)) onRefused(error);
      },
    });
    const timer = runtimeOf(etcd).clock.timer(LOOK_AGAIN_MS, () => void mirror.close());
    try {
      for await (const _ of mirror) {
        const [kv] = mirror.entries.values();
        if (kv?.createRevision !== createRevision) return;
      }
    } finally {
      timer.cancel();
      await mirror.close();
    }
  }
}
