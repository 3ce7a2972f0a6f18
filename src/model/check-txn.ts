import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import type { Compare } from "./compare.ts";
import type { KeyRange } from "./key-range.ts";
import type { Op } from "./op.ts";

interface Request {
  readonly compare?: readonly Compare[] | undefined;
  readonly success?: readonly Op[] | undefined;
  readonly failure?: readonly Op[] | undefined;
}

/** @throws InvalidOptionError unless all compares and operations are as their functions make them */
export function checkTxn(what: string, request: Request): void {
  if (typeof request !== "object" || request === null) {
    throw new InvalidOptionError(what, "request", "must be an object with success, and maybe compare and failure");
  }
  const { compare, success, failure } = request;
  check(what, "compare", compare, isCompare, "keyMissing(), compareModRevision() and the like");
  check(what, "success", success, isOp, "putOp(), getOp() and the like");
  check(what, "failure", failure, isOp, "putOp(), getOp() and the like");
}

function check<Item>(
  what: string,
  option: string,
  items: readonly Item[] | undefined,
  isItem: (what: string, item: Item | null | undefined) => boolean,
  makers: string,
): void {
  if (items === undefined) return;
  if (Array.isArray(items) && items.every((item: Item) => isItem(what, item))) return;
  throw new InvalidOptionError(what, option, `must be a list of what ${makers} make`);
}

function isCompare(_what: string, compare: Compare | null | undefined): boolean {
  return isRange(compare?.range) && typeof compare?.target === "string";
}

function isOp(what: string, op: Op | null | undefined): boolean {
  switch (op?.type) {
    case "put":
      return op.key instanceof Uint8Array && op.value instanceof Uint8Array;
    case "range":
    case "delete":
      return isRange(op.range);
    case "txn":
      checkTxn(what, op);
      return true;
    default:
      return false;
  }
}

function isRange(range: KeyRange | null | undefined): boolean {
  return range?.start instanceof Uint8Array;
}
