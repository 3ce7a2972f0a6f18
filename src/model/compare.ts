import { type BytesLike, toBytes } from "./bytes.ts";
import { type KeyOrRange, type KeyRange, toKeyRange } from "./key-range.ts";
import { type LeaseId, type LeaseRef, toLeaseId } from "./lease-id.ts";

export type CompareResult = "equal" | "notEqual" | "greater" | "less";

/** A condition of a txn. On a range it must hold for every key of it. */
export type Compare = { readonly range: KeyRange; readonly result: CompareResult } & (
  | { readonly target: "version" | "createRevision" | "modRevision"; readonly operand: number }
  | { readonly target: "value"; readonly operand: Uint8Array }
  | { readonly target: "lease"; readonly operand: LeaseId | undefined }
);

/** The key does not exist. */
export function keyMissing(key: KeyOrRange): Compare {
  return compareCreateRevision(key, "equal", 0);
}

/** The key exists. */
export function keyExists(key: KeyOrRange): Compare {
  return compareCreateRevision(key, "notEqual", 0);
}

export function compareVersion(key: KeyOrRange, result: CompareResult, operand: number): Compare {
  return { range: toKeyRange("compareVersion", key), target: "version", result, operand };
}

export function compareCreateRevision(key: KeyOrRange, result: CompareResult, operand: number): Compare {
  return { range: toKeyRange("compareCreateRevision", key), target: "createRevision", result, operand };
}

/** `compareModRevision(key, "equal", 0)` holds for a missing key. */
export function compareModRevision(key: KeyOrRange, result: CompareResult, operand: number): Compare {
  return { range: toKeyRange("compareModRevision", key), target: "modRevision", result, operand };
}

export function compareValue(key: KeyOrRange, result: CompareResult, operand: BytesLike): Compare {
  return { range: toKeyRange("compareValue", key), target: "value", result, operand: toBytes(operand) };
}

/** Without a lease: the key is (not) on any lease. */
export function compareLease(key: KeyOrRange, result: "equal" | "notEqual", lease?: LeaseRef): Compare {
  return { range: toKeyRange("compareLease", key), target: "lease", result, operand: lease && toLeaseId(lease) };
}
