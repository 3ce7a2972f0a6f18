import type { Protocol } from "../connection/index.ts";
import type { KeyRange } from "../model/key-range.ts";
import { type KeyValue, StoredKeyValue } from "../model/key-value.ts";
import type { RangeSort } from "../model/op.ts";
import { type PagedRange, pagedRange } from "./paged-range.ts";
import type { RangePagesOptions } from "./range-pages.ts";

/**
 * Reads a range in another order than that of keys. All of it is read by pages in the order of keys and sorted here, so
 * that no answer is long. The first `limit` of an order are etcd's to choose: the last keys by pages from the end, what
 * is sorted by something else in one answer, as there is no key from which another page could go on. So are values that
 * are to be left out.
 */
export async function sortedRange(
  protocol: Protocol,
  range: KeyRange,
  sort: RangeSort,
  options: RangePagesOptions,
): Promise<PagedRange> {
  const { target, order } = sort;
  const { limit, keysOnly, signal, timeoutMs, pageSize: _, ...query } = options;
  if (target === "key") {
    if (order === "ascend" || limit !== undefined) {
      return pagedRange(protocol, range, { ...options, descend: order === "descend" });
    }
  } else if (limit !== undefined || (keysOnly && target === "value")) {
    const answer = await protocol.range({ ...query, range, sort, limit, keysOnly }, { signal, timeoutMs });
    return { kvs: answer.kvs, revision: query.revision ?? answer.revision, count: answer.count };
  }
  const { kvs, ...read } = await pagedRange(protocol, range, options);
  return { ...read, kvs: sorted(kvs, sort) };
}

/** Where the target is the same the lower key comes first. */
function sorted(kvs: readonly KeyValue[], { target, order }: RangeSort): KeyValue[] {
  if (target === "key") return [...kvs].reverse();
  const sign = order === "ascend" ? 1 : -1;
  if (target === "value") return [...kvs].sort((a, b) => sign * StoredKeyValue.compareValues(a, b));
  return [...kvs].sort((a, b) => sign * (a[target] - b[target]));
}
