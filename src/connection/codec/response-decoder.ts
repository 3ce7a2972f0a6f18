import { ProtocolError } from "../../errors/protocol-error.ts";
import { type KeyValue, type StoredFields, StoredKeyValue } from "../../model/key-value.ts";
import type { LeaseId } from "../../model/lease-id.ts";
import type { NestedTxnResult, OpResult } from "../../model/op.ts";
import type { WatchEvent } from "../../model/watch-event.ts";
import { MessageParts } from "./message-parts.ts";
import type {
  DeleteRangeResponse,
  LeaseKeepAliveResponse,
  PutResponse,
  RangePart,
  RangeResponse,
  TxnResponse,
  WatchResponse,
} from "./messages.ts";
import { atEnd, endOfMessage, readInt64, readLeaseId, readMessage, type WireReader } from "./wire-reader.ts";
import { bytesTag, varintTag } from "./wire-writer.ts";

const tag = {
  varint1: varintTag(1),
  varint2: varintTag(2),
  varint3: varintTag(3),
  varint4: varintTag(4),
  varint5: varintTag(5),
  varint6: varintTag(6),
  varint7: varintTag(7),
  bytes1: bytesTag(1),
  bytes2: bytesTag(2),
  bytes3: bytesTag(3),
  bytes4: bytesTag(4),
  bytes5: bytesTag(5),
  bytes6: bytesTag(6),
  bytes11: bytesTag(11),
} as const;

interface RangeFields {
  revision: number;
  kvs: KeyValue[];
  count: number;
  more: boolean;
  bytes: number;
}

interface DeleteFields {
  revision: number;
  deleted: number;
  previous: KeyValue[];
}

interface TxnFields {
  revision: number;
  succeeded: boolean;
  responses: OpResult[];
}

/**
 * Turns the protocol's bytes into our messages, straight: no object in between. Fields of other versions are skipped.
 * The namespace is taken off every key here and nowhere else.
 */
export class ResponseDecoder {
  readonly #namespaceLength: number;

  constructor(namespaceLength: number) {
    this.#namespaceLength = namespaceLength;
  }

  range(bytes: Buffer): RangeResponse {
    // Without parts: most of a list is kept or none of it, and to copy it would cost a quarter of reading it.
    return readMessage(bytes, (reader, end) => this.#range(reader, end));
  }

  /** What else is in it stands in one part or another; all of it together is what a range answers. */
  rangePart(bytes: Buffer): RangePart {
    return readMessage(bytes, (reader, end) => {
      const kvs: KeyValue[] = [];
      while (!atEnd(reader, end)) {
        const field = reader.uint32();
        if (field === tag.bytes1) for (const kv of this.#range(reader, endOfMessage(reader)).kvs) kvs.push(kv);
        else reader.skip(field);
      }
      return { kvs };
    });
  }

  put(bytes: Buffer): PutResponse {
    return decoded(bytes, false, (reader, end) => this.#put(reader, end));
  }

  deleteRange(bytes: Buffer): DeleteRangeResponse {
    return decoded(bytes, false, (reader, end) => this.#deleteRange(reader, end));
  }

  txn(bytes: Buffer): TxnResponse {
    return decoded(bytes, false, (reader, end) => this.#txn(reader, end));
  }

  /** @param bytes a view: nothing of the answer refers to them */
  watch(bytes: Buffer): WatchResponse {
    return decoded(bytes, true, (reader, end) => this.#watch(reader, end));
  }

  leaseGrant(bytes: Buffer): ReadLease {
    return readMessage(bytes, readLease);
  }

  leaseKeepAlive(bytes: Buffer): LeaseKeepAliveResponse {
    const { id, ttlSeconds } = readMessage(bytes, readLease);
    if (!id) throw new ProtocolError("etcd acknowledged the renewal of a lease without id");
    return { id, ttlSeconds };
  }

  #watch(reader: WireReader, end: number): WatchResponse {
    let headerRevision = 0;
    let watchId = 0;
    let created = false;
    let canceled = false;
    let compactRevision = 0;
    let cancelReason = "";
    let fragment = false;
    const events: WatchEvent[] = [];
    while (!atEnd(reader, end)) {
      const field = reader.uint32();
      if (field === tag.bytes11) events.push(this.#event(reader));
      else if (field === tag.bytes1) headerRevision = readHeader(reader);
      else if (field === tag.varint2) watchId = readInt64(reader);
      else if (field === tag.varint3) created = reader.bool();
      else if (field === tag.varint4) canceled = reader.bool();
      else if (field === tag.varint5) compactRevision = readInt64(reader);
      else if (field === tag.bytes6) cancelReason = reader.string();
      else if (field === tag.varint7) fragment = reader.bool();
      else reader.skip(field);
    }
    return {
      watchId: String(watchId),
      headerRevision,
      created,
      canceled,
      cancelReason,
      compactRevision,
      fragment,
      events,
    };
  }

  #range(reader: WireReader, end: number): RangeResponse {
    const result: RangeFields = { revision: 0, kvs: [], count: 0, more: false, bytes: end - reader.pos };
    while (!atEnd(reader, end)) {
      const field = reader.uint32();
      if (field === tag.bytes2) result.kvs.push(this.#keyValue(reader));
      else if (field === tag.bytes1) result.revision = readHeader(reader);
      else if (field === tag.varint3) result.more = reader.bool();
      else if (field === tag.varint4) result.count = readInt64(reader);
      else reader.skip(field);
    }
    return result;
  }

  #put(reader: WireReader, end: number): PutResponse {
    let revision = 0;
    let previous: KeyValue | undefined;
    while (!atEnd(reader, end)) {
      const field = reader.uint32();
      if (field === tag.bytes1) revision = readHeader(reader);
      else if (field === tag.bytes2) previous = this.#keyValue(reader);
      else reader.skip(field);
    }
    return previous ? { revision, previous } : { revision };
  }

  #deleteRange(reader: WireReader, end: number): DeleteRangeResponse {
    const result: DeleteFields = { revision: 0, deleted: 0, previous: [] };
    while (!atEnd(reader, end)) {
      const field = reader.uint32();
      if (field === tag.bytes1) result.revision = readHeader(reader);
      else if (field === tag.varint2) result.deleted = readInt64(reader);
      else if (field === tag.bytes3) result.previous.push(this.#keyValue(reader));
      else reader.skip(field);
    }
    return result;
  }

  #txn(reader: WireReader, end: number): TxnResponse {
    const result: TxnFields = { revision: 0, succeeded: false, responses: [] };
    while (!atEnd(reader, end)) {
      const field = reader.uint32();
      if (field === tag.bytes3) result.responses.push(this.#op(reader));
      else if (field === tag.bytes1) result.revision = readHeader(reader);
      else if (field === tag.varint2) result.succeeded = reader.bool();
      else reader.skip(field);
    }
    return result;
  }

  #op(reader: WireReader): OpResult {
    let result: OpResult | undefined;
    const end = endOfMessage(reader);
    while (!atEnd(reader, end)) {
      const field = reader.uint32();
      if (field === tag.bytes1) result = this.#rangeResult(reader);
      else if (field === tag.bytes2) result = this.#putResult(reader);
      else if (field === tag.bytes3) result = this.#deleteResult(reader);
      else if (field === tag.bytes4) result = this.#nestedTxn(reader);
      else reader.skip(field);
    }
    if (!result) throw new ProtocolError("etcd answered a txn with an operation of no known kind");
    return result;
  }

  // The parts of a txn have headers without a revision.
  #rangeResult(reader: WireReader): OpResult {
    const { kvs, count, more } = this.#range(reader, endOfMessage(reader));
    return { type: "range", kvs, count, more };
  }

  #putResult(reader: WireReader): OpResult {
    const { previous } = this.#put(reader, endOfMessage(reader));
    return previous ? { type: "put", previous } : { type: "put" };
  }

  #deleteResult(reader: WireReader): OpResult {
    const { deleted, previous } = this.#deleteRange(reader, endOfMessage(reader));
    return { type: "delete", deleted, previous };
  }

  #nestedTxn(reader: WireReader): NestedTxnResult {
    const { succeeded, responses } = this.#txn(reader, endOfMessage(reader));
    return { type: "txn", succeeded, responses };
  }

  #event(reader: WireReader): WatchEvent {
    let type: WatchEvent["type"] = "put";
    let kv: KeyValue | undefined;
    let previous: KeyValue | undefined;
    const end = endOfMessage(reader);
    while (!atEnd(reader, end)) {
      const field = reader.uint32();
      if (field === tag.varint1) type = reader.uint32() === 1 ? "delete" : "put";
      else if (field === tag.bytes2) kv = this.#keyValue(reader);
      else if (field === tag.bytes3) previous = this.#keyValue(reader);
      else reader.skip(field);
    }
    if (!kv) throw new ProtocolError("etcd sent an event without a key");
    return previous ? { type, kv, previous } : { type, kv };
  }

  #keyValue(reader: WireReader): KeyValue {
    let keyLength = 0;
    fields.message = reader.buf;
    fields.keyStart = fields.keyEnd = fields.valueStart = fields.valueEnd = 0;
    fields.createRevision = fields.modRevision = fields.version = 0;
    fields.lease = undefined;
    const end = endOfMessage(reader);
    const start = reader.pos;
    while (!atEnd(reader, end)) {
      const field = reader.uint32();
      if (field === tag.bytes1) {
        fields.keyEnd = endOfMessage(reader);
        fields.keyStart = reader.pos;
        keyLength = fields.keyEnd - fields.keyStart;
        reader.pos = fields.keyEnd;
      } else if (field === tag.varint2) fields.createRevision = readInt64(reader);
      else if (field === tag.varint3) fields.modRevision = readInt64(reader);
      else if (field === tag.varint4) fields.version = readInt64(reader);
      else if (field === tag.bytes5) {
        fields.valueEnd = endOfMessage(reader);
        fields.valueStart = reader.pos;
        reader.pos = fields.valueEnd;
      } else if (field === tag.varint6) fields.lease = readLeaseId(reader);
      else reader.skip(field);
    }
    if (keyLength > 0) fields.keyStart += this.#namespaceLength;
    if (parts.needed) moveTo(start, end);
    const kv = new StoredKeyValue(fields);
    fields.message = noMessage;
    return kv;
  }
}

/** Whose watch an answer is about. It stands near the beginning. */
export function watchIdOf(bytes: Buffer): string {
  return readMessage(bytes, (reader, end) => {
    while (!atEnd(reader, end)) {
      const field = reader.uint32();
      if (field === tag.varint2) return String(readInt64(reader));
      reader.skip(field);
    }
    return "0";
  });
}

/** What a grant and a renewal are answered with. */
export interface ReadLease {
  readonly id: LeaseId | undefined;
  readonly ttlSeconds: number;
}

function readLease(reader: WireReader, end: number): ReadLease {
  let id: LeaseId | undefined;
  let ttlSeconds = 0;
  while (!atEnd(reader, end)) {
    const field = reader.uint32();
    if (field === tag.varint2) id = readLeaseId(reader);
    else if (field === tag.varint3) ttlSeconds = readInt64(reader);
    else reader.skip(field);
  }
  return { id, ttlSeconds };
}

/** Of the message that is being decoded. */
const parts = new MessageParts();

function decoded<Response>(
  bytes: Buffer,
  isView: boolean,
  decode: (reader: WireReader, end: number) => Response,
): Response {
  parts.begin(bytes, isView);
  try {
    return readMessage(bytes, decode);
  } finally {
    parts.end();
  }
}

const noMessage = Buffer.alloc(0);

/** One for all: an object more for each key would be as much again for the garbage collector. */
const fields: { -readonly [Name in keyof StoredFields]: StoredFields[Name] } = {
  message: noMessage,
  keyStart: 0,
  keyEnd: 0,
  valueStart: 0,
  valueEnd: 0,
  createRevision: 0,
  modRevision: 0,
  version: 0,
  lease: undefined,
};

/** What the fields stand in is a part of its message from here on. */
function moveTo(start: number, end: number): void {
  parts.take(start, end);
  fields.message = parts.bytes;
  // What is not there has no place.
  if (fields.keyEnd > 0) {
    fields.keyStart -= parts.start;
    fields.keyEnd -= parts.start;
  }
  if (fields.valueEnd > 0) {
    fields.valueStart -= parts.start;
    fields.valueEnd -= parts.start;
  }
}

function readHeader(reader: WireReader): number {
  let revision = 0;
  const end = endOfMessage(reader);
  while (!atEnd(reader, end)) {
    const field = reader.uint32();
    if (field === tag.varint3) revision = readInt64(reader);
    else reader.skip(field);
  }
  return revision;
}
