import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { isPlainObject } from "../errors/plain-object.ts";
import { shown } from "../errors/shown.ts";
import { type BytesLike, checkedBytes } from "./bytes.ts";
import { isRange, type KeyOrRange, type KeyRange, toKeyRange } from "./key-range.ts";
import { isLeaseId, type LeaseId, type LeaseRef, toLeaseId } from "./lease-id.ts";

export type CompareResult = "equal" | "notEqual" | "greater" | "less";

/** A condition of a txn. On a range it must hold for every key of it. */
export type Compare = { readonly range: KeyRange; readonly result: CompareResult } & (
  | { readonly target: "version" | "createRevision" | "modRevision"; readonly operand: number }
  | { readonly target: "value"; readonly operand: Uint8Array }
  | { readonly target: "lease"; readonly operand: LeaseId | undefined }
);

/** The key does not exist. */
export function keyMissing(key: KeyOrRange): Compare {
  return { range: toKeyRange("keyMissing", key), target: "createRevision", result: "equal", operand: 0 };
}

/** The key exists. */
export function keyExists(key: KeyOrRange): Compare {
  return { range: toKeyRange("keyExists", key), target: "createRevision", result: "notEqual", operand: 0 };
}

export function compareVersion(key: KeyOrRange, result: CompareResult, operand: number): Compare {
  return numberCompare("compareVersion", "version", key, result, operand);
}

export function compareCreateRevision(key: KeyOrRange, result: CompareResult, operand: number): Compare {
  return numberCompare("compareCreateRevision", "createRevision", key, result, operand);
}

/** `compareModRevision(key, "equal", 0)` holds for a missing key. */
export function compareModRevision(key: KeyOrRange, result: CompareResult, operand: number): Compare {
  return numberCompare("compareModRevision", "modRevision", key, result, operand);
}

export function compareValue(key: KeyOrRange, result: CompareResult, operand: BytesLike): Compare {
  const what = "compareValue";
  const range = toKeyRange(what, key);
  checkResult(what, result, results);
  return { range, target: "value", result, operand: checkedBytes(what, "operand", operand) };
}

/** Without a lease: the key is (not) on any lease. */
export function compareLease(key: KeyOrRange, result: "equal" | "notEqual", lease?: LeaseRef): Compare {
  const what = "compareLease";
  const range = toKeyRange(what, key);
  // The ids of leases have no order.
  checkResult(what, result, ["equal", "notEqual"]);
  return { range, target: "lease", result, operand: lease === undefined ? undefined : toLeaseId(what, lease) };
}

/** Whether it is as the functions above make it: what is misspelt would be another condition. */
export function isCompare(compare: unknown): boolean {
  if (!isPlainObject(compare) || !isRange(compare.range) || !results.includes(compare.result)) return false;
  for (const name in compare) if (!compareNames.has(name)) return false;
  const { target, operand } = compare;
  switch (target) {
    case "version":
    case "createRevision":
    case "modRevision":
      return Number.isSafeInteger(operand);
    case "value":
      return operand instanceof Uint8Array;
    case "lease":
      return operand === undefined || isLeaseId(operand);
    default:
      return false;
  }
}

const compareNames: ReadonlySet<string> = new Set(["range", "target", "result", "operand"]);
const results: readonly unknown[] = ["equal", "notEqual", "greater", "less"] satisfies CompareResult[];

function numberCompare(
  what: string,
  target: "version" | "createRevision" | "modRevision",
  key: KeyOrRange,
  result: CompareResult,
  operand: number,
): Compare {
  const range = toKeyRange(what, key);
  checkResult(what, result, results);
  if (Number.isSafeInteger(operand)) return { range, target, result, operand };
  throw new InvalidOptionError(what, "operand", `must be a whole number, not ${shown(operand)}`);
}

/** What is misspelt would be written as "equal". */
function checkResult(what: string, result: CompareResult, allowed: readonly unknown[]): void {
  if (allowed.includes(result)) return;
  throw new InvalidOptionError(what, "result", `must be one of ${allowed.join(", ")}, not ${shown(result)}`);
}
