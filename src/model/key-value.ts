import { bytesEqual, toBytes } from "./bytes.ts";
import type { LeaseId } from "./lease-id.ts";

/**
 * One key as etcd holds it at one revision. `JSON.stringify` writes it with its value, as text in `value`; what is not
 * UTF-8 is written as `valueBase64` and `keyBase64` instead.
 */
export interface KeyValue {
  /** The key as text; bytes that are not UTF-8 show as U+FFFD, then `keyBytes` is the truth. */
  readonly key: string;
  readonly keyBytes: Uint8Array;
  /**
   * The value alone, out of a large answer: it is copied when it is read first. An entry keeps at most 16 KiB alive
   * besides its value, or as much again as the value has; one of a list that `range()` gave keeps its page alive, some
   * 2 MiB, until its `value` is read.
   */
  readonly value: Uint8Array;
  /** The value as UTF-8 text, decoded each time it is read: it is not kept beside the bytes. */
  readonly text: string;
  /** The revision at which the key was made; a key that was deleted and made again has a newer one. */
  readonly createRevision: number;
  /** The revision of its last change. */
  readonly modRevision: number;
  /** How often it was put since it was made, beginning with 1. */
  readonly version: number;
  /** The lease that it dies with, if any. */
  readonly lease?: LeaseId;
}

/** Where a key and its value stand in the bytes of a message, and what came with them. */
export interface StoredFields {
  readonly message: Buffer;
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly valueStart: number;
  readonly valueEnd: number;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: LeaseId | undefined;
}

/** A value in memory above this is copied when it is read, so that it can be kept without all of it. */
const LARGE_BYTES = 16 * 1024;
/**
 * Values that are settled stand together in buffers of about this size, so that what is replaced later can be let go
 * of.
 */
const SETTLED_BYTES = 256 * 1024;

/** What `toString("utf8")` calls after a look at its arguments; protobufjs reads text with it, too. */
interface Utf8Buffer extends Buffer {
  utf8Slice(start: number, end: number): string;
}

/** An empty value keeps no message alive. */
const nothing = Buffer.alloc(0);

/** Where values lie that are settled: who has them keeps most of it. */
const settledMemory = new WeakSet<ArrayBufferLike>();

/**
 * The bytes of keys that their text does not show. A place for them in each entry would cost as much as they are rare.
 */
const untoldKeys = new WeakMap<KeyValue, Uint8Array>();

/**
 * A KeyValue that makes what it is asked for: of most values that are watched or listed neither the bytes nor the text
 * are ever read, and each view would cost more than the value.
 */
export class StoredKeyValue implements KeyValue {
  readonly key: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease?: LeaseId;
  /** The message, or the value alone once it was asked for. */
  #bytes: Buffer;
  #valueStart: number;
  #valueEnd: number;

  constructor(fields: StoredFields) {
    const { message, keyStart, keyEnd } = fields;
    this.key = (message as Utf8Buffer).utf8Slice(keyStart, keyEnd);
    this.createRevision = fields.createRevision;
    this.modRevision = fields.modRevision;
    this.version = fields.version;
    if (fields.lease !== undefined) this.lease = fields.lease;
    const isEmpty = fields.valueStart === fields.valueEnd;
    this.#bytes = isEmpty ? nothing : message;
    this.#valueStart = isEmpty ? 0 : fields.valueStart;
    this.#valueEnd = isEmpty ? 0 : fields.valueEnd;
    // A copy: a view would keep the message alive.
    if (this.key.includes("\ufffd")) untoldKeys.set(this, new Uint8Array(message.subarray(keyStart, keyEnd)));
  }

  /**
   * Moves the values into buffers that hold nothing else, so that keeping them for long does not keep the answers that
   * brought them: these hold the keys once more, and whatever else came with them.
   */
  static settle(kvs: readonly KeyValue[]): void {
    let group: StoredKeyValue[] = [];
    let bytes = 0;
    for (const kv of kvs) {
      if (!(kv instanceof StoredKeyValue)) continue;
      group.push(kv);
      bytes += kv.#valueEnd - kv.#valueStart;
      if (bytes < SETTLED_BYTES) continue;
      StoredKeyValue.#settleTogether(group, bytes);
      group = [];
      bytes = 0;
    }
    StoredKeyValue.#settleTogether(group, bytes);
  }

  /** Lets go of the message that brought it where that is much more than its value, as reading `value` does. */
  static detach(kv: KeyValue): void {
    if (kv instanceof StoredKeyValue && keepsTooMuch(kv.#bytes.buffer, StoredKeyValue.lengthOf(kv))) kv.#cut();
  }

  /** What the value keeps alive; undefined for one without bytes. */
  static memoryOf(kv: KeyValue): ArrayBufferLike | undefined {
    return kv instanceof StoredKeyValue && kv.#valueEnd > kv.#valueStart ? kv.#bytes.buffer : undefined;
  }

  /** How long the value is, without making a view of it. */
  static lengthOf(kv: KeyValue): number {
    return kv instanceof StoredKeyValue ? kv.#valueEnd - kv.#valueStart : kv.value.length;
  }

  /** Whether two values are the same, without making views of them. */
  static sameValue(a: KeyValue, b: KeyValue): boolean {
    return StoredKeyValue.lengthOf(a) === StoredKeyValue.lengthOf(b) && StoredKeyValue.compareValues(a, b) === 0;
  }

  /** The order of two values by their bytes: below 0, 0 or above. */
  static compareValues(a: KeyValue, b: KeyValue): number {
    if (!(a instanceof StoredKeyValue) || !(b instanceof StoredKeyValue)) return Buffer.compare(a.value, b.value);
    return a.#bytes.compare(b.#bytes, b.#valueStart, b.#valueEnd, a.#valueStart, a.#valueEnd);
  }

  static #settleTogether(kvs: readonly StoredKeyValue[], bytes: number): void {
    const values = Buffer.allocUnsafeSlow(bytes);
    settledMemory.add(values.buffer);
    let start = 0;
    for (const kv of kvs) {
      const end = start + kv.#bytes.copy(values, start, kv.#valueStart, kv.#valueEnd);
      kv.#bytes = values;
      kv.#valueStart = start;
      kv.#valueEnd = end;
      start = end;
    }
  }

  get keyBytes(): Uint8Array {
    return untoldKeys.get(this) ?? toBytes(this.key);
  }

  #cut(): void {
    const view = this.#bytes.subarray(this.#valueStart, this.#valueEnd);
    this.#bytes = keepsTooMuch(view.buffer, view.length) ? Buffer.from(view) : view;
    this.#valueStart = 0;
    this.#valueEnd = view.length;
  }

  get value(): Uint8Array {
    if (this.#valueStart !== 0 || this.#valueEnd !== this.#bytes.length) this.#cut();
    return this.#bytes;
  }

  get text(): string {
    return (this.#bytes as Utf8Buffer).utf8Slice(this.#valueStart, this.#valueEnd);
  }

  /** What `JSON.stringify` writes. */
  toJSON(): object {
    const { key, keyBytes, value, text, createRevision, modRevision, version, lease } = this;
    const named = key.includes("\ufffd") ? { keyBase64: Buffer.from(keyBytes).toString("base64") } : { key };
    const valued = bytesEqual(toBytes(text), value)
      ? { value: text }
      : { valueBase64: Buffer.from(value).toString("base64") };
    return { ...named, ...valued, createRevision, modRevision, version, ...(lease && { lease }) };
  }

  /** What `util.inspect` shows: also what is only made when asked for. */
  [Symbol.for("nodejs.util.inspect.custom")](): KeyValue {
    const { key, keyBytes, value, text, createRevision, modRevision, version, lease } = this;
    return { key, keyBytes, value, text, createRevision, modRevision, version, ...(lease && { lease }) };
  }
}

function keepsTooMuch(memory: ArrayBufferLike, length: number): boolean {
  return memory.byteLength > LARGE_BYTES && length * 2 < memory.byteLength && !settledMemory.has(memory);
}

/** Two keys that are not UTF-8 can have one text. */
export function sameKey(a: KeyValue, b: KeyValue): boolean {
  return a.key === b.key && (!a.key.includes("\ufffd") || bytesEqual(a.keyBytes, b.keyBytes));
}

/** Whether both are the same state of the same key, as far as that shows without the value. */
export function sameKeyState(a: KeyValue, b: KeyValue): boolean {
  return (
    a.modRevision === b.modRevision &&
    a.createRevision === b.createRevision &&
    a.version === b.version &&
    a.lease === b.lease &&
    sameKey(a, b)
  );
}

/** Whether both are the same state of the same key in the same history. */
export function sameKeyValue(a: KeyValue, b: KeyValue): boolean {
  return sameKeyState(a, b) && StoredKeyValue.sameValue(a, b);
}
