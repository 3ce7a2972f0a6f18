import {
  cameTooSlowly,
  type Protocol,
  type RangePart,
  type RangeResponse,
  type RangeStream,
} from "../connection/index.ts";
import { RequestRefusedError } from "../errors/request-refused-error.ts";
import type { CallOptions } from "../model/call-options.ts";
import type { KeyRange } from "../model/key-range.ts";
import type { KeyValue } from "../model/key-value.ts";
import type { RevisionBounds } from "../model/op.ts";
import { PageSize } from "./page-size.ts";

export interface RangePagesOptions extends CallOptions, RevisionBounds {
  readonly revision?: number | undefined;
  readonly limit?: number | undefined;
  readonly keysOnly?: boolean | undefined;
  readonly serializable?: boolean | undefined;
  /** From the last key to the first. etcd reads all that is left of the range for each page. @default false */
  readonly descend?: boolean | undefined;
  /** What follows the first page comes by a stream where the server has one (etcd 3.7). @default false */
  readonly streamed?: boolean | undefined;
  /** What the list was like the last time. */
  readonly pageSize?: PageSize | undefined;
}

export interface RangePage {
  readonly kvs: readonly KeyValue[];
  /** The revision that all pages are of. */
  readonly revision: number;
  /** How many keys etcd counts, of the first page in all of the range. */
  readonly count: number;
}

/**
 * Reads a range of any size page by page, all of them at the revision of the first. `timeoutMs` holds for each page.
 *
 * ```
 *   page ──more──▶ streamed? ──no──▶ next page …
 *                      │ yes: parts ──all──▶ done
 *                      └── the server has no stream, or it broke ──▶ next page, which says why, or goes on elsewhere
 * ```
 *
 * @throws CompactedError when the revision was compacted meanwhile; FutureRevisionError from a member that is behind
 */
export async function* rangePages(
  protocol: Protocol,
  range: KeyRange,
  options: RangePagesOptions,
): AsyncGenerator<RangePage, void, undefined> {
  const { signal, timeoutMs, limit = Number.POSITIVE_INFINITY, descend = false, streamed, ...read } = options;
  const { pageSize = new PageSize(), ...query } = read;
  const sort = descend ? ({ target: "key", order: "descend" } as const) : undefined;
  const call = { signal, timeoutMs };
  pageSize.begin();
  let { revision } = query;
  let left = limit;
  let rest = range;
  for (;;) {
    const keys = Math.min(pageSize.next(), left);
    let page: RangeResponse;
    try {
      page = await protocol.range({ ...query, range: rest, revision, limit: keys, sort }, call);
    } catch (error) {
      if (error instanceof RequestRefusedError && error.beyond === "answerBytes" && pageSize.refused(keys)) continue;
      // Its way is too slow for so much: the next list has smaller ones.
      if (cameTooSlowly(error)) pageSize.refused(keys);
      throw error;
    }
    revision ??= page.revision;
    left -= page.kvs.length;
    pageSize.saw(page.kvs.length, page.bytes);
    yield { kvs: page.kvs, revision, count: page.count };
    let last = page.kvs.at(-1);
    if (!page.more || !last || left <= 0) return;
    rest = behind(rest, last, descend);
    if (!streamed) continue;
    const most = left === Number.POSITIVE_INFINITY ? undefined : left;
    const stream = await openStream(() =>
      protocol.openRangeStream({ ...query, range: rest, revision, limit: most }, call),
    );
    if (!stream) continue;
    try {
      for (;;) {
        const part = await nextPart(stream);
        if (part === "over") return;
        if (part === "broken") break;
        left -= part.kvs.length;
        last = part.kvs.at(-1);
        if (last) rest = behind(rest, last, descend);
        yield { kvs: part.kvs, revision, count: page.count };
        if (left <= 0) return;
      }
    } finally {
      stream.close();
    }
  }
}

/** Whatever keeps it from being opened, the next page says it with all that is known of errors, or goes elsewhere. */
async function openStream(open: () => Promise<RangeStream | undefined>): Promise<RangeStream | undefined> {
  try {
    return await open();
  } catch {
    return undefined;
  }
}

async function nextPart(stream: RangeStream): Promise<RangePart | "over" | "broken"> {
  try {
    return (await stream.next()) ?? "over";
  } catch {
    return "broken";
  }
}

/** What is left of a range after the page that ended with this key. */
function behind(range: KeyRange, { keyBytes }: KeyValue, descend: boolean): KeyRange {
  return descend ? { start: range.start, end: keyBytes } : { ...range, start: keyAfter(keyBytes) };
}

/** The smallest key above `key`. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
