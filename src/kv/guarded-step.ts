import { nestedSize, type PartSize } from "../internal/txn-size.ts";
import type { Compare } from "../model/compare.ts";
import type { Op, TxnOp } from "../model/op.ts";
import { keyText } from "./key-text.ts";
import type { UsedKeys } from "./key-turns.ts";
import { OwnBytes } from "./own-bytes.ts";

/** A txn that can be one of several in a txn. */
export interface GuardedStep {
  /** With bytes of its own: it may leave when the caller has other things in its buffers. */
  readonly txn: TxnOp;
  readonly keys: UsedKeys;
  readonly size: PartSize;
}

type KeySets = Record<keyof UsedKeys, Set<string>>;

/** @returns undefined for a txn that names a range, and for one that only reads: it goes by itself */
export function guardedStep(request: Omit<TxnOp, "type">): GuardedStep | undefined {
  const used = { written: new Set<string>(), seen: new Set<string>() };
  if (!addKeys(request, used) || used.written.size === 0) return undefined;
  for (const key of used.written) used.seen.delete(key);
  const keys = { written: [...used.written], seen: [...used.seen] };
  const size = nestedSize(request);
  // It counts all keys and values, and something around each.
  return { txn: ownTxn(request, new OwnBytes(size.bytes)), keys, size };
}

/** @returns false where a range is named */
function addKeys({ compare, success, failure }: Omit<TxnOp, "type">, used: KeySets): boolean {
  for (const { range } of compare) {
    if (range.end) return false;
    used.seen.add(keyText(range.start));
  }
  for (const branch of [success, failure]) {
    for (const op of branch) {
      if (op.type === "txn") {
        if (!addKeys(op, used)) return false;
      } else if (op.type === "put") used.written.add(keyText(op.key));
      else if (op.range.end) return false;
      else (op.type === "range" ? used.seen : used.written).add(keyText(op.range.start));
    }
  }
  return true;
}

function ownTxn({ compare, success, failure }: Omit<TxnOp, "type">, own: OwnBytes): TxnOp {
  return {
    type: "txn",
    compare: compare.map((one) => ownCompare(one, own)),
    success: success.map((op) => ownOp(op, own)),
    failure: failure.map((op) => ownOp(op, own)),
  };
}

function ownCompare(compare: Compare, own: OwnBytes): Compare {
  const range = { start: own.copyOf(compare.range.start) };
  if (compare.target === "value") return { ...compare, range, operand: own.copyOf(compare.operand) };
  return { ...compare, range };
}

function ownOp(op: Op, own: OwnBytes): Op {
  if (op.type === "txn") return ownTxn(op, own);
  if (op.type === "put") return { ...op, key: own.copyOf(op.key), value: own.copyOf(op.value) };
  return { ...op, range: { start: own.copyOf(op.range.start) } };
}
