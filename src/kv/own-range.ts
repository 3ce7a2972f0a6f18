import type { KeyRange } from "../model/key-range.ts";

/** For what is sent later, when the caller has other things in its buffers. */
export function ownRange({ start, end }: KeyRange): KeyRange {
  return { start: new Uint8Array(start), ...(end && { end: new Uint8Array(end) }) };
}
