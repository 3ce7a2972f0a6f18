import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { type BytesLike, toValue } from "./bytes.ts";
import type { Compare } from "./compare.ts";
import { type KeyOrRange, type KeyRange, toKey, toKeyRange } from "./key-range.ts";
import type { KeyValue } from "./key-value.ts";
import { type LeaseId, type LeaseRef, toLeaseId } from "./lease-id.ts";
import { checkRevision } from "./revision.ts";

/** One operation of a txn. */
export type Op = PutOp | RangeOp | DeleteOp | TxnOp;

export interface PutOp {
  readonly type: "put";
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly lease?: LeaseId | undefined;
  readonly previous?: boolean | undefined;
}

export interface RangeOp {
  readonly type: "range";
  readonly range: KeyRange;
  /** Read the state at this revision; the newest when left out. */
  readonly revision?: number | undefined;
  /** At most so many keys; all when left out. */
  readonly limit?: number | undefined;
  readonly keysOnly?: boolean | undefined;
  readonly countOnly?: boolean | undefined;
  readonly serializable?: boolean | undefined;
  /** Leave out the keys that were made after this revision. */
  readonly maxCreateRevision?: number | undefined;
  /** Which come first, also for `limit`; in the order of keys when left out. */
  readonly sort?: RangeSort | undefined;
}

export interface RangeSort {
  readonly by: "key" | "version" | "createRevision" | "modRevision" | "value";
  readonly order: "ascend" | "descend";
}

export interface DeleteOp {
  readonly type: "delete";
  readonly range: KeyRange;
  readonly previous?: boolean | undefined;
}

export interface TxnOp {
  readonly type: "txn";
  readonly compare: readonly Compare[];
  readonly success: readonly Op[];
  readonly failure: readonly Op[];
}

/** What one operation of a txn answered, in the order of the operations. */
export type OpResult = PutResult | RangeResult | DeleteResult | NestedTxnResult;

export interface PutResult {
  readonly type: "put";
  readonly previous?: KeyValue;
}

export interface RangeResult {
  readonly type: "range";
  readonly kvs: readonly KeyValue[];
  /** How many keys the range holds, also when `limit` cut the list. */
  readonly count: number;
  readonly more: boolean;
}

export interface DeleteResult {
  readonly type: "delete";
  readonly deleted: number;
  /** What was deleted, if it was asked for. */
  readonly previous: readonly KeyValue[];
}

export interface NestedTxnResult {
  readonly type: "txn";
  readonly succeeded: boolean;
  readonly responses: readonly OpResult[];
}

/** `lease`: the key dies with it. `previous`: the answer has the state before. */
export function putOp(
  key: BytesLike,
  value: BytesLike,
  options: { lease?: LeaseRef | undefined; previous?: boolean } = {},
): PutOp {
  checkObject("putOp", options);
  const { lease, previous } = options;
  return {
    type: "put",
    key: toKey("putOp", key),
    value: toValue("putOp", value),
    lease: lease === undefined ? undefined : toLeaseId(lease),
    previous,
  };
}

/** Reads one key. */
export function getOp(key: BytesLike, options: { revision?: number; serializable?: boolean } = {}): RangeOp {
  checkRead("getOp", options);
  return { type: "range", range: { start: toKey("getOp", key) }, ...options };
}

/** Reads a range in one answer, without paging: what is long belongs into `EtcdClient.range()`. */
export function rangeOp(key: KeyOrRange, options: Omit<RangeOp, "type" | "range"> = {}): RangeOp {
  checkRead("rangeOp", options);
  return { type: "range", range: toKeyRange("rangeOp", key), ...options };
}

export function deleteOp(key: KeyOrRange, options: { previous?: boolean } = {}): DeleteOp {
  return { type: "delete", range: toKeyRange("deleteOp", key), ...options };
}

/** A txn within a txn. */
export function txnOp(request: {
  compare?: readonly Compare[];
  success?: readonly Op[];
  failure?: readonly Op[];
}): TxnOp {
  checkObject("txnOp", request);
  return {
    type: "txn",
    compare: request.compare ?? [],
    success: request.success ?? [],
    failure: request.failure ?? [],
  };
}

/** etcd reads 0 as left out. */
function checkRead(what: string, options: Omit<RangeOp, "type" | "range">): void {
  checkObject(what, options);
  for (const name of ["revision", "limit", "maxCreateRevision"] as const) checkRevision(what, name, options[name], 0);
  const { sort } = options;
  if (sort === undefined || (sortedBy.includes(sort?.by) && orders.includes(sort?.order))) return;
  const problem = `must be like { by: "modRevision", order: "descend" }; known are ${[...sortedBy, ...orders].join(", ")}`;
  throw new InvalidOptionError(what, "sort", problem);
}

const sortedBy: readonly unknown[] = [
  "key",
  "version",
  "createRevision",
  "modRevision",
  "value",
] satisfies RangeSort["by"][];
const orders: readonly unknown[] = ["ascend", "descend"] satisfies RangeSort["order"][];

function checkObject(what: string, options: object): void {
  if (typeof options !== "object" || options === null)
    throw new InvalidOptionError(what, "options", "must be an object");
}
