import { bytesEqual, toText } from "./bytes.ts";
import { endOfPrefix, type KeyRange, toTheLastKey } from "./key-range.ts";

const LONGEST_KEY = 200;

/** A key or a range as a message names it. */
export function keyName({ start, end }: KeyRange): string {
  if (!end) return quoted(start);
  if (bytesEqual(end, toTheLastKey))
    return start.length === 1 && start[0] === 0 ? "every key" : `${quoted(start)} and on`;
  return bytesEqual(end, endOfPrefix(start)) ? `prefix ${quoted(start)}` : `${quoted(start)} to ${quoted(end)}`;
}

/** The prefix that a range is, as text; undefined for a key, and for another range. */
export function prefixName({ start, end }: KeyRange): string | undefined {
  return end && bytesEqual(end, endOfPrefix(start)) ? toText(start.subarray(0, LONGEST_KEY)) : undefined;
}

function quoted(key: Uint8Array): string {
  const text = toText(key.subarray(0, LONGEST_KEY));
  return JSON.stringify(key.length > LONGEST_KEY ? `${text}...` : text);
}
