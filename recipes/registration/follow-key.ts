import type { EtcdClient } from "../../src/index.ts";
import { endsRetries } from "../../src/internal/index.ts";
import { followRange } from "../follow/index.ts";
import type { RegisteredKey } from "./registered-key.ts";

/** Gives the keeper of a key each change of it, until `signal` aborts. What does not come, a look finds out. */
export async function followKey(
  etcd: EtcdClient,
  { keeper, life }: RegisteredKey,
  signal: AbortSignal,
  onFailed: (error: unknown) => void,
): Promise<void> {
  const steps = followRange(etcd, keeper.key, {
    signal,
    endsAfter: (error) => endsRetries(error, life.hasWorked),
    // A closed client loses the lease next: that is no loss any more.
    onFailed,
    onWarning: (error) => {
      // It is followed again once that has passed. A look finds out what it means for the key.
      life.noteFailure(error);
      keeper.look();
    },
  });
  try {
    for await (const { batch, now } of steps) {
      keeper.seen(now.get(keeper.key), batch.revision, batch.type === "resynced");
    }
  } catch (error) {
    onFailed(error);
  }
}
