import type { Compare } from "../../src/model/compare.ts";
import { endOfPrefix, type KeyRange, toTheLastKey } from "../../src/model/key-range.ts";
import type { KeyValue } from "../../src/model/key-value.ts";
import type { Op, OpResult, TxnOp } from "../../src/model/op.ts";
import type { WatchEvent } from "../../src/model/watch-event.ts";
import { storedKeyValue } from "./stored-key-value.ts";

type Txn = Omit<TxnOp, "type">;

/**
 * What stands before every key of a client: it is put there on the way to etcd, and taken off on the way back. What
 * comes back is a copy, so that a test that changes the bytes of a value does not change them in etcd.
 */
export class Namespace {
  readonly bytes: Buffer;

  constructor(bytes: Uint8Array = new Uint8Array()) {
    this.bytes = Buffer.from(bytes);
  }

  within(bytes: Uint8Array): Namespace {
    return new Namespace(Buffer.concat([this.bytes, bytes]));
  }

  key(key: Uint8Array): Uint8Array {
    return this.bytes.length === 0 ? key : Buffer.concat([this.bytes, key]);
  }

  range({ start, end }: KeyRange): KeyRange {
    if (this.bytes.length === 0) return end ? { start, end } : { start };
    if (!end || end.length === 0) return { start: this.key(start) };
    const isToTheLast = end.length === 1 && end[0] === toTheLastKey[0];
    return { start: this.key(start), end: isToTheLast ? endOfPrefix(this.bytes) : this.key(end) };
  }

  txn<Request extends Txn>(request: Request): Request {
    return {
      ...request,
      compare: request.compare.map((compare): Compare => ({ ...compare, range: this.range(compare.range) })),
      success: request.success.map((op) => this.#op(op)),
      failure: request.failure.map((op) => this.#op(op)),
    };
  }

  #op(op: Op): Op {
    switch (op.type) {
      case "put":
        return { ...op, key: this.key(op.key) };
      case "txn":
        return this.txn(op);
      default:
        return { ...op, range: this.range(op.range) };
    }
  }

  keyValue({ keyBytes, value, createRevision, modRevision, version, lease }: KeyValue): KeyValue {
    const key = keyBytes.subarray(this.bytes.length);
    return storedKeyValue({ keyBytes: key, value, createRevision, modRevision, version, lease });
  }

  keyValues(kvs: readonly KeyValue[]): KeyValue[] {
    return kvs.map((kv) => this.keyValue(kv));
  }

  result(result: OpResult): OpResult {
    switch (result.type) {
      case "put":
        return result.previous ? { ...result, previous: this.keyValue(result.previous) } : result;
      case "delete":
        return { ...result, previous: this.keyValues(result.previous) };
      case "txn":
        return { ...result, responses: result.responses.map((within) => this.result(within)) };
      default:
        return { ...result, kvs: this.keyValues(result.kvs) };
    }
  }

  event({ type, kv, previous }: WatchEvent): WatchEvent {
    const event = { type, kv: this.keyValue(kv) };
    return previous ? { ...event, previous: this.keyValue(previous) } : event;
  }

  /** A lease may have keys of others on it, which are left out. */
  keysOf(keys: readonly Uint8Array[]): Uint8Array[] {
    const { length } = this.bytes;
    return keys.flatMap((key) => (this.bytes.equals(key.subarray(0, length)) ? [key.subarray(length)] : []));
  }
}
