import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { type BytesLike, toValue } from "./bytes.ts";
import { shown } from "./call-options.ts";
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
  return { range: toKeyRange("compareVersion", key), target: "version", ...checked("compareVersion", result, operand) };
}

export function compareCreateRevision(key: KeyOrRange, result: CompareResult, operand: number): Compare {
  return {
    range: toKeyRange("compareCreateRevision", key),
    target: "createRevision",
    ...checked("compareCreateRevision", result, operand),
  };
}

/** `compareModRevision(key, "equal", 0)` holds for a missing key. */
export function compareModRevision(key: KeyOrRange, result: CompareResult, operand: number): Compare {
  return {
    range: toKeyRange("compareModRevision", key),
    target: "modRevision",
    ...checked("compareModRevision", result, operand),
  };
}

export function compareValue(key: KeyOrRange, result: CompareResult, operand: BytesLike): Compare {
  checkResult("compareValue", result);
  return { range: toKeyRange("compareValue", key), target: "value", result, operand: toValue("compareValue", operand) };
}

/** Without a lease: the key is (not) on any lease. */
export function compareLease(key: KeyOrRange, result: "equal" | "notEqual", lease?: LeaseRef): Compare {
  checkResult("compareLease", result);
  return {
    range: toKeyRange("compareLease", key),
    target: "lease",
    result,
    operand: lease === undefined ? undefined : toLeaseId(lease),
  };
}

const results: readonly unknown[] = ["equal", "notEqual", "greater", "less"] satisfies CompareResult[];

function checked(what: string, result: CompareResult, operand: number): { result: CompareResult; operand: number } {
  checkResult(what, result);
  if (Number.isSafeInteger(operand)) return { result, operand };
  throw new InvalidOptionError(what, "operand", `must be a whole number, not ${shown(operand)}`);
}

/** What is misspelt would be written as "equal". */
function checkResult(what: string, result: CompareResult): void {
  if (results.includes(result)) return;
  throw new InvalidOptionError(what, "result", `must be one of ${results.join(", ")}, not ${shown(result)}`);
}
