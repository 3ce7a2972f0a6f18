import type { Protocol } from "../connection/index.ts";
import { CompactedError } from "../errors/compacted-error.ts";
import { FutureRevisionError } from "../errors/future-revision-error.ts";
import type { KeyRange } from "../model/key-range.ts";
import type { KeyValue } from "../model/key-value.ts";
import { type RangePagesOptions, rangePages } from "./range-pages.ts";

export interface PagedRange {
  readonly kvs: readonly KeyValue[];
  /** The revision that all of `kvs` were read at. */
  readonly revision: number;
  /** How many keys the range held, also when `limit` cut the list or bounds of revisions left some out. */
  readonly count: number;
}

/**
 * A list that is compacted away under the reader, or whose next page comes from a member that is behind, is begun anew
 * this often.
 */
const RESTARTS = 3;

/**
 * Reads a range of any size: page by page, all pages at the revision of the first, so it is one state of the store.
 * `timeoutMs` holds for each page.
 */
export async function pagedRange(
  protocol: Protocol,
  range: KeyRange,
  options: RangePagesOptions = {},
): Promise<PagedRange> {
  for (let restarts = 0; ; restarts++) {
    try {
      return await readPages(protocol, range, options);
    } catch (error) {
      // Only a revision of our own choosing can be chosen anew.
      const lostRevision = error instanceof CompactedError || error instanceof FutureRevisionError;
      if (!lostRevision || options.revision !== undefined || restarts === RESTARTS) throw error;
    }
  }
}

async function readPages(protocol: Protocol, range: KeyRange, options: RangePagesOptions): Promise<PagedRange> {
  const kvs: KeyValue[] = [];
  let first: PagedRange | undefined;
  for await (const page of rangePages(protocol, range, options)) {
    first ??= page;
    for (const kv of page.kvs) kvs.push(kv);
  }
  // There is a first page, or it has thrown.
  return { ...(first as PagedRange), kvs };
}
