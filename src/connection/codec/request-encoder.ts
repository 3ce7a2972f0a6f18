import type { Compare } from "../../model/compare.ts";
import { endOfPrefix, type KeyRange, toTheLastKey } from "../../model/key-range.ts";
import type { Op } from "../../model/op.ts";
import type {
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  TxnRequest,
  WatchCreateRequest,
  WatchStreamRequest,
} from "./messages.ts";
import { bytesTag, newMessage, varintTag, type WireWriter, writeLeaseId } from "./wire-writer.ts";

/** The numbers of etcd's `.proto` files. etcd3's enums are not those: its SortTarget, for one, is a string. */
const compareResults = { equal: 0, greater: 1, less: 2, notEqual: 3 } as const;
const compareTargets = { version: 0, createRevision: 1, modRevision: 2, value: 3, lease: 4 } as const;
const sortTargets = { key: 0, version: 1, createRevision: 2, modRevision: 3, value: 4 } as const;
const sortOrders = { ascend: 1, descend: 2 } as const;

/** NOPUT, NODELETE. */
const filters = { put: 0, delete: 1 } as const;

const revisionBoundFields = [
  ["minModRevision", 10],
  ["maxModRevision", 11],
  ["minCreateRevision", 12],
  ["maxCreateRevision", 13],
] as const;

/** Where the compared value stands in a Compare, by its target. */
const operandFields = { version: 4, createRevision: 5, modRevision: 6 } as const;

/** Turns our requests into the protocol's bytes. A namespace is put before every key here and nowhere else. */
export class RequestEncoder {
  readonly #namespace: Uint8Array;

  constructor(namespace: Uint8Array) {
    this.#namespace = namespace;
  }

  range(request: RangeRequest): Buffer {
    const writer = newMessage();
    this.#range(writer, request);
    return writer.finish();
  }

  put(request: PutRequest): Buffer {
    const writer = newMessage();
    this.#put(writer, request);
    return writer.finish();
  }

  deleteRange(request: DeleteRangeRequest): Buffer {
    const writer = newMessage();
    this.#deleteRange(writer, request);
    return writer.finish();
  }

  txn(request: TxnRequest): Buffer {
    const writer = newMessage();
    this.#txn(writer, request);
    return writer.finish();
  }

  watch(request: WatchStreamRequest): Buffer {
    const writer = newMessage();
    if (request === "progress") writer.uint32(bytesTag(3)).fork().ldelim();
    else if ("create" in request) this.#watchCreate(writer, request.create);
    else {
      writer.uint32(bytesTag(2)).fork();
      writer.uint32(varintTag(1)).int64(Number(request.cancel));
      writer.ldelim();
    }
    return writer.finish();
  }

  #watchCreate(writer: WireWriter, request: WatchCreateRequest): void {
    writer.uint32(bytesTag(1)).fork();
    this.#keys(writer, request.range);
    writer.uint32(varintTag(3)).int64(request.startRevision);
    // Notices of progress, and what is too large in parts.
    writer.uint32(varintTag(4)).bool(true);
    for (const filter of request.filters ?? []) writer.uint32(varintTag(5)).uint32(filters[filter]);
    if (request.previous) writer.uint32(varintTag(6)).bool(true);
    writer.uint32(varintTag(7)).int64(Number(request.watchId));
    writer.uint32(varintTag(8)).bool(true);
    writer.ldelim();
  }

  #range(writer: WireWriter, request: RangeRequest): void {
    const { limit, revision, sort, serializable, keysOnly, countOnly } = request;
    this.#keys(writer, request.range);
    if (limit !== undefined) writer.uint32(varintTag(3)).int64(limit);
    if (revision !== undefined) writer.uint32(varintTag(4)).int64(revision);
    if (sort) {
      writer.uint32(varintTag(5)).uint32(sortOrders[sort.order]);
      writer.uint32(varintTag(6)).uint32(sortTargets[sort.target]);
    }
    if (serializable) writer.uint32(varintTag(7)).bool(true);
    if (keysOnly) writer.uint32(varintTag(8)).bool(true);
    if (countOnly) writer.uint32(varintTag(9)).bool(true);
    for (const [bound, field] of revisionBoundFields) {
      const revisionBound = request[bound];
      if (revisionBound !== undefined) writer.uint32(varintTag(field)).int64(revisionBound);
    }
  }

  #put(writer: WireWriter, request: PutRequest): void {
    const { key, value, lease, previous, ignoreValue, ignoreLease } = request;
    writer.uint32(bytesTag(1)).bytes(this.#key(key));
    writer.uint32(bytesTag(2)).bytes(value);
    if (lease) writeLeaseId(writer, 3, lease);
    if (previous) writer.uint32(varintTag(4)).bool(true);
    if (ignoreValue) writer.uint32(varintTag(5)).bool(true);
    if (ignoreLease) writer.uint32(varintTag(6)).bool(true);
  }

  #deleteRange(writer: WireWriter, { range, previous }: DeleteRangeRequest): void {
    this.#keys(writer, range);
    if (previous) writer.uint32(varintTag(3)).bool(true);
  }

  #txn(writer: WireWriter, { compare, success, failure }: TxnRequest): void {
    for (const each of compare) {
      writer.uint32(bytesTag(1)).fork();
      this.#compare(writer, each);
      writer.ldelim();
    }
    for (const op of success) this.#op(writer, 2, op);
    for (const op of failure) this.#op(writer, 3, op);
  }

  #op(writer: WireWriter, field: number, op: Op): void {
    writer.uint32(bytesTag(field)).fork();
    if (op.type === "range") {
      writer.uint32(bytesTag(1)).fork();
      this.#range(writer, op);
    } else if (op.type === "put") {
      writer.uint32(bytesTag(2)).fork();
      this.#put(writer, op);
    } else if (op.type === "delete") {
      writer.uint32(bytesTag(3)).fork();
      this.#deleteRange(writer, op);
    } else {
      writer.uint32(bytesTag(4)).fork();
      this.#txn(writer, op);
    }
    writer.ldelim().ldelim();
  }

  #compare(writer: WireWriter, compare: Compare): void {
    writer.uint32(varintTag(1)).uint32(compareResults[compare.result]);
    writer.uint32(varintTag(2)).uint32(compareTargets[compare.target]);
    writer.uint32(bytesTag(3)).bytes(this.#key(compare.range.start));
    if (compare.target === "value") writer.uint32(bytesTag(7)).bytes(compare.operand);
    else if (compare.target !== "lease") {
      writer.uint32(varintTag(operandFields[compare.target])).int64(compare.operand);
    } else if (compare.operand) writeLeaseId(writer, 8, compare.operand);
    else writer.uint32(varintTag(8)).int64(0);
    const end = this.#end(compare.range);
    if (end) writer.uint32(bytesTag(64)).bytes(end);
  }

  #keys(writer: WireWriter, range: KeyRange): void {
    writer.uint32(bytesTag(1)).bytes(this.#key(range.start));
    const end = this.#end(range);
    if (end) writer.uint32(bytesTag(2)).bytes(end);
  }

  #key(key: Uint8Array): Uint8Array {
    return this.#namespace.length === 0 ? key : Buffer.concat([this.#namespace, key]);
  }

  #end({ end }: KeyRange): Uint8Array | undefined {
    if (!end) return undefined;
    const toTheEnd = end.length === 1 && end[0] === 0;
    if (!toTheEnd) return this.#key(end);
    return this.#namespace.length > 0 ? endOfPrefix(this.#namespace) : toTheLastKey;
  }
}
