import type { InvalidValueError } from "../errors/invalid-value-error.ts";
import type { KeyValue } from "../model/key-value.ts";
import type { LeaseId } from "../model/lease-id.ts";

/** A key with its value as the schema made it. */
export interface TypedKeyValue<Value> {
  readonly key: string;
  readonly value: Value;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease?: LeaseId;
  /** As etcd holds it. */
  readonly raw: KeyValue;
}

/** A key whose value is no JSON, or is rejected by the schema. */
export interface InvalidKeyValue {
  readonly key: string;
  /** Says why, and never shows the value. */
  readonly error: InvalidValueError;
  /** As etcd holds it. */
  readonly raw: KeyValue;
}

export function isInvalid<Value>(read: TypedKeyValue<Value> | InvalidKeyValue): read is InvalidKeyValue {
  return "error" in read;
}
