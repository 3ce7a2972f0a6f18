import { flag, optionsOf, wholeNumber } from "../errors/check-options.ts";
import type { BytesLike } from "./bytes.ts";
import { checkTxn } from "./check-txn.ts";
import type { Compare } from "./compare.ts";
import { type KeyOrRange, toKey, toKeyRange } from "./key-range.ts";
import { type LeaseRef, leaseRefCheck } from "./lease-id.ts";
import { type DeleteOp, type Op, type PutOp, type RangeOp, revisionBounds, sortCheck, type TxnOp } from "./op.ts";
import { type KeptByPut, keptByPutChecks, toPut } from "./to-put.ts";

/** etcd reads 0 as left out. */
const count = wholeNumber(0);

const checkPutOptions = optionsOf("putOp", { lease: leaseRefCheck, previous: flag, ...keptByPutChecks });
const checkGet = optionsOf("getOp", { revision: count, serializable: flag });
const checkRange = optionsOf("rangeOp", {
  revision: count,
  limit: count,
  keysOnly: flag,
  countOnly: flag,
  serializable: flag,
  ...Object.fromEntries(revisionBounds.map((bound) => [bound, count])),
  sort: sortCheck,
});
const checkDelete = optionsOf("deleteOp", { previous: flag });

/**
 * `lease`: the key dies with it. `previous`: the answer has the state before. `ignoreValue`, `ignoreLease`: the key,
 * which must be there, keeps the value or the lease that it has.
 */
export function putOp(
  key: BytesLike,
  value: BytesLike,
  options: { lease?: LeaseRef | undefined; previous?: boolean } & KeptByPut = {},
): PutOp {
  checkPutOptions(options);
  return { type: "put", ...toPut("putOp", key, value, options) };
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
