import { StoredKeyValue } from "../../src/model/key-value.ts";
import type { LeaseId } from "../../src/model/lease-id.ts";

/** What a KeyValue has, for one that no etcd sent. */
export interface KeyValueFields {
  readonly keyBytes: Uint8Array;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease?: LeaseId | undefined;
}

export function storedKeyValue({ keyBytes, value, lease, ...revisions }: KeyValueFields): StoredKeyValue {
  const message = Buffer.concat([keyBytes, value]);
  const keyEnd = keyBytes.length;
  return new StoredKeyValue({
    ...revisions,
    message,
    keyStart: 0,
    keyEnd,
    valueStart: keyEnd,
    valueEnd: message.length,
    lease,
  });
}
