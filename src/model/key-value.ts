import { bytesEqual, toBytes } from "./bytes.ts";
import type { LeaseId } from "./lease-id.ts";

/** One key as etcd holds it at one revision. */
export interface KeyValue {
  /** The key as text; bytes that are not UTF-8 show as U+FFFD, then `keyBytes` is the truth. */
  readonly key: string;
  readonly keyBytes: Uint8Array;
  /** A view into the answer that brought it, and keeps that alive: copy what is to be kept for long out of a large answer. */
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

/** What `toString("utf8")` calls after a look at its arguments; protobufjs reads text with it, too. */
interface Utf8Buffer extends Buffer {
  utf8Slice(start: number, end: number): string;
}

/** The bytes of keys that their text does not tell. A place for them in each entry would cost as much as they are rare. */
const untoldKeys = new WeakMap<KeyValue, Uint8Array>();

/**
 * A KeyValue that makes what it is asked for: of most values that are watched or listed neither the bytes nor the text are
 * ever read, and each view would cost more than the value.
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
    this.#bytes = message;
    this.#valueStart = fields.valueStart;
    this.#valueEnd = fields.valueEnd;
    if (this.key.includes("\ufffd")) untoldKeys.set(this, message.subarray(keyStart, keyEnd));
  }

  /**
   * Moves the values into one buffer of their own, so that who keeps them for long does not keep the answers that brought
   * them: these hold the keys once more, and whatever else came with them.
   */
  static settle(kvs: readonly KeyValue[]): void {
    const stored = kvs.filter((kv): kv is StoredKeyValue => kv instanceof StoredKeyValue);
    const length = stored.reduce((sum, kv) => sum + kv.#valueEnd - kv.#valueStart, 0);
    const values = Buffer.allocUnsafeSlow(length);
    let start = 0;
    for (const kv of stored) {
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

  get value(): Uint8Array {
    if (this.#valueStart !== 0 || this.#valueEnd !== this.#bytes.length) {
      this.#bytes = this.#bytes.subarray(this.#valueStart, this.#valueEnd);
      this.#valueStart = 0;
      this.#valueEnd = this.#bytes.length;
    }
    return this.#bytes;
  }

  get text(): string {
    return (this.#bytes as Utf8Buffer).utf8Slice(this.#valueStart, this.#valueEnd);
  }

  /** What `util.inspect` shows: also what is only made when asked for. */
  [Symbol.for("nodejs.util.inspect.custom")](): KeyValue {
    const { key, keyBytes, value, text, createRevision, modRevision, version, lease } = this;
    return { key, keyBytes, value, text, createRevision, modRevision, version, ...(lease && { lease }) };
  }
}

/** Two keys that are not UTF-8 can have one text. */
export function sameKey(a: KeyValue, b: KeyValue): boolean {
  return a.key === b.key && (!a.key.includes("\ufffd") || bytesEqual(a.keyBytes, b.keyBytes));
}

/** Whether both are the same state of the same key in the same history. */
export function sameKeyValue(a: KeyValue, b: KeyValue): boolean {
  return (
    a.modRevision === b.modRevision &&
    a.createRevision === b.createRevision &&
    a.version === b.version &&
    a.lease === b.lease &&
    sameKey(a, b) &&
    bytesEqual(a.value, b.value)
  );
}
