import { flag, optionsOf, wholeNumber } from "../errors/check-options.ts";
import { type BytesLike, toValue } from "./bytes.ts";
import { checkTxn } from "./check-txn.ts";
import type { Compare } from "./compare.ts";
import { type KeyOrRange, toKey, toKeyRange } from "./key-range.ts";
import { type LeaseRef, leaseRefCheck, toLeaseId } from "./lease-id.ts";
import { type DeleteOp, isSort, type Op, orders, type PutOp, type RangeOp, sortedBy, type TxnOp } from "./op.ts";

/** etcd reads 0 as left out. */
const count = wholeNumber(0);

const checkPut = optionsOf("putOp", { lease: leaseRefCheck, previous: flag });
const checkGet = optionsOf("getOp", { revision: count, serializable: flag });
const checkRange = optionsOf("rangeOp", {
  revision: count,
  limit: count,
  keysOnly: flag,
  countOnly: flag,
  serializable: flag,
  maxCreateRevision: count,
  sort: {
    allowed: `like { by: "modRevision", order: "descend" }, of ${[...sortedBy, ...orders].join(", ")}`,
    holds: isSort,
  },
});
const checkDelete = optionsOf("deleteOp", { previous: flag });

/** `lease`: the key dies with it. `previous`: the answer has the state before. */
export function putOp(
  key: BytesLike,
  value: BytesLike,
  options: { lease?: LeaseRef | undefined; previous?: boolean } = {},
): PutOp {
  checkPut(options);
  const { lease, previous } = options;
  return {
    type: "put",
    key: toKey("putOp", key),
    value: toValue("putOp", value),
    lease: lease === undefined ? undefined : toLeaseId("putOp", lease),
    previous,
  };
}

/** Reads one key. */
export function getOp(key: BytesLike, options: { revision?: number; serializable?: boolean } = {}): RangeOp {
  checkGet(options);
  return { type: "range", range: { start: toKey("getOp", key) }, ...options };
}

/** Reads a range in one answer, without paging: what is long belongs into `EtcdClient.range()`. */
export function rangeOp(key: KeyOrRange, options: Omit<RangeOp, "type" | "range"> = {}): RangeOp {
  checkRange(options);
  return { type: "range", range: toKeyRange("rangeOp", key), ...options };
}

export function deleteOp(key: KeyOrRange, options: { previous?: boolean } = {}): DeleteOp {
  checkDelete(options);
  return { type: "delete", range: toKeyRange("deleteOp", key), ...options };
}

/** A txn within a txn. */
export function txnOp(request: {
  compare?: readonly Compare[];
  success?: readonly Op[];
  failure?: readonly Op[];
}): TxnOp {
  checkTxn("txnOp", request);
  const { compare = [], success = [], failure = [] } = request;
  return { type: "txn", compare, success, failure };
}
