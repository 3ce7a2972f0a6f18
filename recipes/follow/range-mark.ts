import {
  type CallOptions,
  type EtcdClient,
  type KeyValue,
  type Mirror,
  prefix as prefixRange,
  rangeOp,
} from "../../src/index.ts";

/** What a linearizable read found under a prefix: enough to know whether a copy of it is as new. */
export interface RangeMark {
  /** How far etcd was. It says nothing of the prefix: the newest key there may be much older. */
  readonly revision: number;
  /** The key with the newest modRevision, without its value. */
  readonly newest: KeyValue | undefined;
  readonly count: number;
}

export async function readMark(etcd: EtcdClient, prefix: string, options: CallOptions): Promise<RangeMark> {
  const newest = rangeOp(prefixRange(prefix), {
    sort: { target: "modRevision", order: "descend" },
    limit: 1,
    keysOnly: true,
  });
  const { revision, responses } = await etcd.txn({ success: [newest] }, options);
  const [found] = responses;
  if (found?.type !== "range") throw new TypeError("a read was answered by something else");
  return { revision, newest: found.kvs[0], count: found.count };
}

/**
 * Whether a mirror has what a mark of the same history found, or something newer.
 *
 * A mirror learns of no revision at which nothing happened to its keys, so it may never come to the mark's. But when it
 * has come to the newest modRevision, no key that etcd had was put after that: the mirror has all of them, as they are.
 * It can only have more, which were deleted since, and then its number of keys is another one.
 */
export function isAsNew(mirror: Pick<Mirror, "revision" | "size" | "get">, mark: RangeMark): boolean {
  if (mirror.revision >= mark.revision) return true;
  return mirror.size === mark.count && (!mark.newest || hasEntry(mirror, mark.newest));
}

/** Compares more than the modRevision: a mirror of another history, which does not know it yet, may have that too. */
function hasEntry(mirror: Pick<Mirror, "revision" | "get">, kv: KeyValue): boolean {
  // A key that is not UTF-8 is not found by its text.
  if (kv.key.includes("\ufffd")) return mirror.revision >= kv.modRevision;
  const own = mirror.get(kv.key);
  return (
    own?.modRevision === kv.modRevision &&
    own.createRevision === kv.createRevision &&
    own.version === kv.version &&
    own.lease === kv.lease
  );
}
