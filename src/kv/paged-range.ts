import type { Protocol, RangeResponse } from "../connection/index.ts";
import { CompactedError } from "../errors/compacted-error.ts";
import { FutureRevisionError } from "../errors/future-revision-error.ts";
import { RequestRefusedError } from "../errors/request-refused-error.ts";
import type { CallOptions } from "../model/call-options.ts";
import type { KeyRange } from "../model/key-range.ts";
import type { KeyValue } from "../model/key-value.ts";
import { PageSize } from "./page-size.ts";

export interface PagedRangeOptions extends CallOptions {
  readonly revision?: number | undefined;
  readonly limit?: number | undefined;
  readonly keysOnly?: boolean | undefined;
  readonly serializable?: boolean | undefined;
  /** What the list was like the last time. */
  readonly pageSize?: PageSize | undefined;
}

export interface PagedRange {
  readonly kvs: readonly KeyValue[];
  /** The revision that all of `kvs` were read at. */
  readonly revision: number;
  /** How many keys the range held, also when `limit` cut the list. */
  readonly count: number;
}

/** A list that is compacted away under the reader, or whose next page comes from a member that is behind, is begun anew this often. */
const RESTARTS = 3;

/**
 * Reads a range of any size: page by page, all pages at the revision of the first, so it is one state of the store.
 * `timeoutMs` holds for each page.
 */
export async function pagedRange(
  protocol: Protocol,
  range: KeyRange,
  options: PagedRangeOptions = {},
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

async function readPages(protocol: Protocol, range: KeyRange, options: PagedRangeOptions): Promise<PagedRange> {
  const { signal, timeoutMs, limit = Number.POSITIVE_INFINITY, keysOnly, serializable } = options;
  const { pageSize = new PageSize() } = options;
  pageSize.begin();
  const kvs: KeyValue[] = [];
  let { revision } = options;
  let count: number | undefined;
  let start = range.start;
  for (;;) {
    const keys = Math.min(pageSize.next(), limit - kvs.length);
    let page: RangeResponse;
    try {
      page = await protocol.range(
        { range: { ...range, start }, revision, limit: keys, keysOnly, serializable },
        { signal, timeoutMs },
      );
    } catch (error) {
      if (error instanceof RequestRefusedError && error.beyond === "answerBytes" && pageSize.refused(keys)) continue;
      throw error;
    }
    revision ??= page.revision;
    count ??= page.count;
    for (const kv of page.kvs) kvs.push(kv);
    const last = page.kvs.at(-1);
    if (!page.more || !last || kvs.length >= limit) return { kvs, revision, count };
    pageSize.saw(page.kvs.length, page.bytes);
    start = keyAfter(last.keyBytes);
  }
}

/** The smallest key above `key`. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
