import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { isPlainObject, unawaited } from "../errors/plain-object.ts";
import { shown } from "../errors/shown.ts";
import { type BytesLike, checkedBytes } from "./bytes.ts";

/**
 * All keys from `start` up to, but without, `end`; exactly `start` when there is no `end`; up to the last key when
 * `end` is a single zero byte.
 */
export interface KeyRange {
  readonly start: Uint8Array;
  readonly end?: Uint8Array;
}

/** Where the contract of a call says "a key or a range". */
export type KeyOrRange = BytesLike | KeyRange;

/** etcd reads a range end of a single zero byte as "to the last key". */
export const toTheLastKey: Uint8Array = new Uint8Array([0]);

/**
 * All keys that begin with `keyPrefix`, literally: `prefix("svc")` has `svc2/a` in it, `prefix("svc/")` has not.
 *
 * @throws InvalidOptionError for an empty prefix; `allKeys()` says that on purpose
 */
export function prefix(keyPrefix: BytesLike): KeyRange {
  const start = checkedBytes("prefix", "keyPrefix", keyPrefix);
  if (start.length === 0)
    throw new InvalidOptionError("prefix", "keyPrefix", "must not be empty; allKeys() means every key");
  return { start, end: endOfPrefix(start) };
}

/**
 * All keys from `start` up to, but without, `end`.
 *
 * @throws InvalidOptionError if either is empty or `end` is not above `start`
 */
export function keyRange(start: BytesLike, end: BytesLike): KeyRange {
  const range = { start: checkedBytes("keyRange", "start", start), end: checkedBytes("keyRange", "end", end) };
  if (range.start.length === 0) throw new InvalidOptionError("keyRange", "start", "must not be empty");
  if (Buffer.compare(range.start, range.end) >= 0)
    throw new InvalidOptionError("keyRange", "end", "must be above start");
  return range;
}

/** Every key there is. */
export function allKeys(): KeyRange {
  return { start: new Uint8Array([0]), end: toTheLastKey };
}

export function isRange(input: unknown): input is KeyRange {
  if (!isPlainObject(input)) return false;
  for (const name in input) if (name !== "start" && name !== "end") return false;
  const { start, end } = input;
  if (!(start instanceof Uint8Array) || start.length === 0) return false;
  if (end === undefined) return true;
  return end instanceof Uint8Array && (isToTheLast(end) || Buffer.compare(start, end) < 0);
}

export function isToTheLast(end: Uint8Array | undefined): boolean {
  return end?.length === 1 && end[0] === 0;
}

/** A text for each range: no two share one. */
export function rangeName({ start, end = new Uint8Array() }: KeyRange): string {
  return `${start.length} ${Buffer.concat([start, end]).toString("latin1")}`;
}

/** @throws InvalidOptionError for an empty key */
export function toKeyRange(what: string, input: KeyOrRange, argument = "key"): KeyRange {
  if (typeof input === "string" || input instanceof Uint8Array) return { start: toKey(what, input) };
  if (isRange(input)) return input;
  const problem = `must be a string, bytes, or a range made by prefix(), keyRange() or allKeys(), not ${shown(input)}`;
  throw new InvalidOptionError(what, argument, `${problem}${unawaited(input)}`);
}

/** @throws InvalidOptionError for an empty key */
export function toKey(what: string, key: BytesLike): Uint8Array {
  const bytes = checkedBytes(what, "key", key);
  if (bytes.length === 0) throw new InvalidOptionError(what, "key", "must not be empty");
  return bytes;
}

/** The smallest key above all keys with this prefix. */
export function endOfPrefix(start: Uint8Array): Uint8Array {
  for (let last = start.length - 1; last >= 0; last--) {
    const byte = start[last] ?? 0;
    if (byte === 0xff) continue;
    // A copy: slice() of a Buffer would share its bytes.
    const end = new Uint8Array(start.subarray(0, last + 1));
    end[last] = byte + 1;
    return end;
  }
  return toTheLastKey;
}
