import { type EtcdClient, type KeyValue, prefix } from "../../src/index.ts";

/** What stands under a prefix: the keys without it, and their values. */
export async function viewOf(etcd: EtcdClient, under: string): Promise<Record<string, string>> {
  const { kvs } = await etcd.range(prefix(under));
  return Object.fromEntries(kvs.map((kv) => [kv.key.slice(under.length), kv.text]));
}

/**
 * What was done under a prefix from `startRevision` to now, whole and in order: a key that is put as the last sentinel
 * says when all of it has arrived.
 */
export async function historyOf(
  etcd: EtcdClient,
  under: string,
  startRevision: number,
): Promise<{ type: "put" | "delete"; kv: KeyValue }[]> {
  const sentinel = `${under}~end`;
  const { revision } = await etcd.put(sentinel, "");
  const watch = etcd.watch(prefix(under), { startRevision });
  const events: { type: "put" | "delete"; kv: KeyValue }[] = [];
  for await (const batch of watch) {
    events.push(...batch.events.filter(({ kv }) => kv.key !== sentinel));
    if (batch.revision >= revision) break;
  }
  await etcd.delete(sentinel);
  return events;
}

/** The newest revision. */
export async function revisionOf(etcd: EtcdClient): Promise<number> {
  return (await etcd.range("\0revision", { countOnly: true })).revision;
}
