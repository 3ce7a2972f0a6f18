import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { unawaited } from "../errors/plain-object.ts";
import { shown } from "../errors/shown.ts";
import { isWellFormed, notWellFormed } from "../errors/well-formed.ts";

const encoder = new TextEncoder();

/** Text is written as UTF-8; bytes are taken as they are. */
export type BytesLike = string | Uint8Array;

/**
 * V8 keeps the bytes of so small an array beside the object; larger ones, and all of a TextEncoder, get memory of their
 * own.
 */
const SMALL = 64;

export function toBytes(input: BytesLike): Uint8Array {
  return typeof input === "string" ? encoded(input) : input;
}

/** Most keys are short ASCII, which a loop encodes in a ninth of the time. */
function encoded(text: string): Uint8Array {
  if (text.length > SMALL) return encoder.encode(text);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7f) return encoder.encode(text);
    bytes[at] = code;
  }
  return bytes;
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/**
 * What a caller gives for a key or a value.
 *
 * @throws InvalidOptionError unless it is bytes, or text of which other texts do not come to the same bytes
 */
export function checkedBytes(what: string, option: string, input: BytesLike): Uint8Array {
  if (typeof input !== "string") {
    if (input instanceof Uint8Array) return input;
    throw notBytes(what, option, input);
  }
  const bytes = encoded(input);
  // ASCII alone is as long as its text.
  if (bytes.length !== input.length && !isWellFormed(input)) {
    throw new InvalidOptionError(what, option, notWellFormed);
  }
  return bytes;
}

/** @throws InvalidOptionError as `checkedBytes()` does */
export function toValue(what: string, value: BytesLike): Uint8Array {
  return checkedBytes(what, "value", value);
}

function notBytes(what: string, option: string, value: unknown): InvalidOptionError {
  return new InvalidOptionError(what, option, `must be a string or bytes, not ${shown(value)}${unawaited(value)}`);
}

/** UTF-8 to text; bytes that are not UTF-8 become U+FFFD. */
export function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}
