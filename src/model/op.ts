import type { OptionCheck } from "../errors/check-options.ts";
import { isPlainObject } from "../errors/plain-object.ts";
import type { Compare } from "./compare.ts";
import { isRange, type KeyRange } from "./key-range.ts";
import type { KeyValue } from "./key-value.ts";
import { isLeaseId, type LeaseId } from "./lease-id.ts";

/** One operation of a txn. */
export type Op = PutOp | RangeOp | DeleteOp | TxnOp;

export interface PutOp {
  readonly type: "put";
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly lease?: LeaseId | undefined;
  readonly previous?: boolean | undefined;
  /** Keep the value that the key has; `value` is empty. */
  readonly ignoreValue?: boolean | undefined;
  /** Keep the lease that the key is on, if any; `lease` is left out. */
  readonly ignoreLease?: boolean | undefined;
}

/** Leaves keys out of a range by their revisions, each bound included. etcd counts them all the same. */
export interface RevisionBounds {
  /** Leave out the keys that were not changed since: of a lower modRevision. */
  readonly minModRevision?: number | undefined;
  /** Leave out the keys that were changed after this revision. */
  readonly maxModRevision?: number | undefined;
  /** Leave out the keys that were made before this revision. */
  readonly minCreateRevision?: number | undefined;
  /** Leave out the keys that were made after this revision. */
  readonly maxCreateRevision?: number | undefined;
}

export interface RangeOp extends RevisionBounds {
  readonly type: "range";
  readonly range: KeyRange;
  /** Read the state at this revision; the newest when left out. */
  readonly revision?: number | undefined;
  /** At most so many keys; all when left out. */
  readonly limit?: number | undefined;
  readonly keysOnly?: boolean | undefined;
  readonly countOnly?: boolean | undefined;
  readonly serializable?: boolean | undefined;
  /** Which come first, also for `limit`; in the order of keys when left out. */
  readonly sort?: RangeSort | undefined;
}

export interface RangeSort {
  readonly target: "key" | "version" | "createRevision" | "modRevision" | "value";
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

export const revisionBounds = [
  "minModRevision",
  "maxModRevision",
  "minCreateRevision",
  "maxCreateRevision",
] as const satisfies (keyof RevisionBounds)[];

const putNames: ReadonlySet<string> = new Set([
  "type",
  "key",
  "value",
  "lease",
  "previous",
  "ignoreValue",
  "ignoreLease",
]);
const deleteNames: ReadonlySet<string> = new Set(["type", "range", "previous"]);
const rangeNames: ReadonlySet<string> = new Set([
  "type",
  "range",
  "revision",
  "limit",
  "keysOnly",
  "countOnly",
  "serializable",
  "sort",
  ...revisionBounds,
]);
const sortNames: ReadonlySet<string> = new Set(["target", "order"]);

/** Whether it is a put, range or delete as `putOp()` and the like make it. */
export function isSimpleOp(op: Record<string, unknown>): boolean {
  switch (op.type) {
    case "put":
      return (
        op.key instanceof Uint8Array &&
        op.key.length > 0 &&
        op.value instanceof Uint8Array &&
        (op.lease === undefined || isLeaseId(op.lease)) &&
        isFlag(op.previous) &&
        (!op.ignoreValue || op.value.length === 0) &&
        (!op.ignoreLease || op.lease === undefined) &&
        isFlag(op.ignoreValue) &&
        isFlag(op.ignoreLease) &&
        hasOnly(op, putNames)
      );
    case "delete":
      return isRange(op.range) && isFlag(op.previous) && hasOnly(op, deleteNames);
    case "range":
      return (
        isRange(op.range) &&
        isCount(op.revision) &&
        isCount(op.limit) &&
        revisionBounds.every((bound) => isCount(op[bound])) &&
        isFlag(op.keysOnly) &&
        isFlag(op.countOnly) &&
        isFlag(op.serializable) &&
        (op.sort === undefined || isSort(op.sort)) &&
        hasOnly(op, rangeNames)
      );
    default:
      return false;
  }
}

/** What `target` may be, then what `order` may be. */
const sortTargets = ["key", "version", "createRevision", "modRevision", "value"] satisfies RangeSort["target"][];
const orders = ["ascend", "descend"] satisfies RangeSort["order"][];

export const sortCheck: OptionCheck = {
  allowed: `like { target: "modRevision", order: "descend" }, of ${[...sortTargets, ...orders].join(", ")}`,
  holds: isSort,
};

function isSort(sort: unknown): sort is RangeSort {
  return (
    isPlainObject(sort) &&
    (sortTargets as unknown[]).includes(sort.target) &&
    (orders as unknown[]).includes(sort.order) &&
    hasOnly(sort, sortNames)
  );
}

function hasOnly(op: object, names: ReadonlySet<string>): boolean {
  for (const name in op) if (!names.has(name)) return false;
  return true;
}

function isFlag(value: unknown): boolean {
  return value === undefined || typeof value === "boolean";
}

function isCount(value: unknown): boolean {
  return value === undefined || (Number.isSafeInteger(value) && (value as number) >= 0);
}
