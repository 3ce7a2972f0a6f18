import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { unawaited } from "../errors/plain-object.ts";
import { shown } from "../errors/shown.ts";

const encoder = new TextEncoder();

/** Text is written as UTF-8; bytes are taken as they are. */
export type BytesLike = string | Uint8Array;

export function toBytes(input: BytesLike): Uint8Array {
  return typeof input === "string" ? encoder.encode(input) : input;
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** @throws InvalidOptionError unless `value` is text or bytes */
export function toValue(what: string, value: BytesLike): Uint8Array {
  if (typeof value === "string" || value instanceof Uint8Array) return toBytes(value);
  throw notBytes(what, "value", value);
}

export function notBytes(what: string, option: string, value: unknown): InvalidOptionError {
  return new InvalidOptionError(what, option, `must be a string or bytes, not ${shown(value)}${unawaited(value)}`);
}

/** UTF-8 to text; bytes that are not UTF-8 become U+FFFD. */
export function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}
