import { type EtcdClient, type EtcdError, type KeyValue, prefix } from "../../src/index.ts";
import { followRange } from "../follow/index.ts";
import { type LeaderInfo, leaderInfo } from "./leader-info.ts";

/**
 * Who leads now, then each change: another leader, another value of the same, none.
 *
 * @param onWarning called while etcd refuses to be read, until an operator permits it
 * @throws `signal.reason`; what ends a Mirror for good
 */
export async function* observeLeader(
  etcd: EtcdClient,
  name: string,
  signal: AbortSignal,
  onWarning: (error: EtcdError) => void,
): AsyncGenerator<LeaderInfo | undefined, void, undefined> {
  let last: KeyValue | undefined;
  let first = true;
  for await (const { now } of followRange(etcd, prefix(`${name}/`), { signal, onWarning })) {
    const leader = firstOf(now.entries.values());
    if (!first && leader?.key === last?.key && leader?.modRevision === last?.modRevision) continue;
    first = false;
    last = leader;
    yield leader && leaderInfo(leader);
  }
}

function firstOf(entries: Iterable<KeyValue>): KeyValue | undefined {
  let first: KeyValue | undefined;
  for (const kv of entries) if (!first || kv.createRevision < first.createRevision) first = kv;
  return first;
}
