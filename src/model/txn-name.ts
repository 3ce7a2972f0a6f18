import type { Compare } from "./compare.ts";
import { keyName } from "./key-name.ts";
import type { KeyRange } from "./key-range.ts";
import type { Op } from "./op.ts";

interface Branches {
  readonly compare: readonly Compare[];
  readonly success: readonly Op[];
  readonly failure: readonly Op[];
}

/** Some keys are enough to find the caller. */
const MOST_NAMES = 3;

/** A txn as a message names it: by the keys that it reads and writes, the first ones. */
export function txnName(request: Branches): string {
  const names = new Set<string>();
  for (const range of rangesOf(request)) names.add(keyName(range));
  const shown = [...names].slice(0, MOST_NAMES).join(", ");
  if (names.size === 0) return "without operations";
  return names.size > MOST_NAMES ? `of ${shown} and ${names.size - MOST_NAMES} more` : `of ${shown}`;
}

function* rangesOf({ compare, success, failure }: Branches): Generator<KeyRange> {
  for (const { range } of compare) yield range;
  for (const op of [...success, ...failure]) {
    if (op.type === "txn") yield* rangesOf(op);
    else yield op.type === "put" ? { start: op.key } : op.range;
  }
}
