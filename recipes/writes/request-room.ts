import { compareValue, type Op, txnOp } from "../../src/index.ts";

/** What is smaller is far from every limit that is worth setting, and must not become longer for nothing. */
const LARGE_BYTES = 16 * 1024;

/**
 * Room for what comes after a put. etcd limits whole requests (`--max-request-bytes`), and does not say to what: a
 * value that just fits when it is put is stuck when a later step, such as a claim or a mark, has to write some bytes
 * more with it. So the request that puts a large value has these bytes in it already, and is refused if they are too
 * many.
 *
 * They stand in a branch that nothing comes of: the `failure` of the request. It does not count for the number of
 * operations.
 */
export function requestRoom(key: string, valueBytes: number, roomBytes: number): Op[] {
  if (valueBytes < LARGE_BYTES) return [];
  return [txnOp({ compare: [compareValue(key, "equal", new Uint8Array(roomBytes))] })];
}

/**
 * Of a put that is made again later: a revision is written with more bytes as it grows, and with fewer than it has
 * digits.
 */
export function revisionRoom(revision: number): number {
  return 16 - String(revision).length;
}
