import { type EtcdClient, type EtcdError, type KeyValue, prefix } from "../../src/index.ts";
import { isRefusal } from "../../src/internal/index.ts";
import { type LeaderInfo, leaderInfo } from "./leader-info.ts";

/**
 * Who leads now, then each change: another leader, another value of the same, nobody.
 *
 * @param onRefused called while etcd refuses to tell, which a person mends there
 * @throws `signal.reason`; what ends a Mirror for good
 */
export async function* observeLeader(
  etcd: EtcdClient,
  name: string,
  signal: AbortSignal,
  onRefused: (error: EtcdError) => void,
): AsyncGenerator<LeaderInfo | undefined, void, undefined> {
  signal.throwIfAborted();
  const mirror = etcd.mirror(prefix(`${name}/`), {
    signal,
    onStatus: (status, error) => {
      if (status === "stale" && error && isRefusal(error)) onRefused(error);
    },
  });
  let last: KeyValue | undefined;
  let first = true;
  try {
    for await (const _ of mirror) {
      const leader = firstOf(mirror.entries.values());
      if (!first && leader?.key === last?.key && leader?.modRevision === last?.modRevision) continue;
      first = false;
      last = leader;
      yield leader && leaderInfo(leader);
    }
    signal.throwIfAborted();
  } finally {
    await mirror.close();
  }
}

function firstOf(entries: Iterable<KeyValue>): KeyValue | undefined {
  let first: KeyValue | undefined;
  for (const kv of entries) if (!first || kv.createRevision < first.createRevision) first = kv;
  return first;
}
