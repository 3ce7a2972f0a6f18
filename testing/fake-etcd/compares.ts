import type { Compare, CompareResult } from "../../src/model/compare.ts";
import type { KeyValue } from "../../src/model/key-value.ts";
import type { KeyStore } from "./key-store.ts";
import { textRange } from "./key-text.ts";

/**
 * Whether all compares hold. One on a range must hold for each key of it; without any key, for a key that is not there.
 */
export function allHold(store: KeyStore, compares: readonly Compare[]): boolean {
  return compares.every((compare) => {
    const kvs = store.range(textRange(compare.range));
    if (kvs.length > 0) return kvs.every((kv) => holds(compare, kv));
    // What is not there has no value, not even an empty one.
    return compare.target !== "value" && holds(compare, undefined);
  });
}

function holds(compare: Compare, kv: KeyValue | undefined): boolean {
  switch (compare.target) {
    case "value":
      return agrees(compare.result, Buffer.compare(kv?.value ?? new Uint8Array(), compare.operand));
    case "lease":
      return agrees(compare.result, kv?.lease === compare.operand ? 0 : 1);
    default:
      return agrees(compare.result, (kv?.[compare.target] ?? 0) - compare.operand);
  }
}

function agrees(result: CompareResult, difference: number): boolean {
  switch (result) {
    case "equal":
      return difference === 0;
    case "notEqual":
      return difference !== 0;
    case "greater":
      return difference > 0;
    case "less":
      return difference < 0;
    default:
      return result satisfies never;
  }
}
