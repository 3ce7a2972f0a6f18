import { bytesEqual, toText } from "./bytes.ts";
import type { LeaseId } from "./lease-id.ts";

/** One key as etcd holds it at one revision. */
export interface KeyValue {
  /** The key as text; bytes that are not UTF-8 show as U+FFFD, then `keyBytes` is the truth. */
  readonly key: string;
  readonly keyBytes: Uint8Array;
  readonly value: Uint8Array;
  /** The value as UTF-8 text, decoded when first read. */
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

export interface KeyValueFields {
  keyBytes: Uint8Array;
  value: Uint8Array;
  createRevision: number;
  modRevision: number;
  version: number;
  lease?: LeaseId;
}

/** A KeyValue that decodes its value only when asked: most watched values are never read as text. */
export class StoredKeyValue implements KeyValue {
  readonly key: string;
  readonly keyBytes: Uint8Array;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease?: LeaseId;
  #text: string | undefined;

  constructor(fields: KeyValueFields) {
    this.key = toText(fields.keyBytes);
    this.keyBytes = fields.keyBytes;
    this.value = fields.value;
    this.createRevision = fields.createRevision;
    this.modRevision = fields.modRevision;
    this.version = fields.version;
    if (fields.lease !== undefined) this.lease = fields.lease;
  }

  get text(): string {
    this.#text ??= toText(this.value);
    return this.#text;
  }
}

/** Whether both are the same state of the same key in the same history. */
export function sameKeyValue(a: KeyValue, b: KeyValue): boolean {
  return (
    a.modRevision === b.modRevision &&
    a.createRevision === b.createRevision &&
    a.version === b.version &&
    a.lease === b.lease &&
    bytesEqual(a.value, b.value) &&
    bytesEqual(a.keyBytes, b.keyBytes)
  );
}
