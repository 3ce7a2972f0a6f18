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
export { deleteOp, getOp, putOp, rangeOp, txnOp } from "./make-op.ts";
export type {
  DeleteOp,
  DeleteResult,
  NestedTxnResult,
  Op,
  OpResult,
  PutOp,
  PutResult,
  RangeOp,
  RangeResult,
  RangeSort,
  RevisionBounds,
  TxnOp,
} from "./op.ts";
export type { KeptByPut } from "./to-put.ts";
export type { DeleteEvent, PutEvent, WatchBatch, WatchEvent, WatchFilter } from "./watch-event.ts";
