export type { BytesLike } from "./bytes.ts";
export type { CallOptions } from "./call-options.ts";
export {
  type Compare,
  type CompareResult,
  compareCreateRevision,
  compareLease,
  compareModRevision,
  compareValue,
  compareVersion,
  keyExists,
  keyMissing,
} from "./compare.ts";
export { allKeys, type KeyOrRange, type KeyRange, keyRange, prefix } from "./key-range.ts";
export type { KeyValue } from "./key-value.ts";
export { type LeaseId, type LeaseRef, leaseId } from "./lease-id.ts";
export {
  type DeleteOp,
  type DeleteResult,
  deleteOp,
  getOp,
  type NestedTxnResult,
  type Op,
  type OpResult,
  type PutOp,
  type PutResult,
  putOp,
  type RangeOp,
  type RangeResult,
  type RangeSort,
  rangeOp,
  type TxnOp,
  txnOp,
} from "./op.ts";
export type { DeleteEvent, PutEvent, WatchBatch, WatchEvent } from "./watch-event.ts";
