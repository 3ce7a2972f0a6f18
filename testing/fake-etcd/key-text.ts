import type { KeyRange } from "../../src/model/key-range.ts";

/** A key's bytes, one character each: such texts are equal, and ordered, as the bytes are. */
export type KeyText = string;

export function keyText(bytes: Uint8Array): KeyText {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

export function keyBytes(text: KeyText): Buffer {
  return Buffer.from(text, "latin1");
}

/** A range as texts: `end` is undefined for a single key, and Infinity for "up to the last key". */
export interface TextRange {
  readonly start: KeyText;
  readonly end: KeyText | typeof Number.POSITIVE_INFINITY | undefined;
}

export function textRange({ start, end }: KeyRange): TextRange {
  if (!end || end.length === 0) return { start: keyText(start), end: undefined };
  const toTheLast = end.length === 1 && end[0] === 0;
  return { start: keyText(start), end: toTheLast ? Number.POSITIVE_INFINITY : keyText(end) };
}

export function isWithin({ start, end }: TextRange, key: KeyText): boolean {
  if (end === undefined) return key === start;
  return key >= start && (typeof end === "number" || key < end);
}
