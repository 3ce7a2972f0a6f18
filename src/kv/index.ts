export type { BatchedCalls } from "./batched-calls.ts";
export { Coalescer } from "./coalescer.ts";
export {
  type CompactOptions,
  type DeleteOptions,
  type IterateOptions,
  Kv,
  type PutOptions,
  type RangeOptions,
  type ReadOptions,
  type TxnAnswer,
  type TxnCallOptions,
  type TxnOptions,
} from "./kv.ts";
export { ownRange } from "./own-range.ts";
export { PageSize } from "./page-size.ts";
export { type PagedRange, pagedRange } from "./paged-range.ts";
export { PointReads } from "./point-reads.ts";
export { type RangeCount, RangeCounts } from "./range-counts.ts";
export { keyAfter } from "./range-pages.ts";
export { runStm } from "./stm.ts";
export type { StmTransaction, StmValue } from "./stm-attempt.ts";
