import { getOp, type KeyValue, type Op, type OpResult, txnOp } from "../../src/index.ts";
import { isAsKnown, type KeyAsKnown } from "./is-as-known.ts";

/**
 * One of several in a txn: it is done if the key is as known, and else says what is there, so that it fails alone.
 *
 * @param known undefined: the key was missing
 */
export function opIfUnchanged(key: string, known: KeyAsKnown | undefined, op: Op): Op {
  return txnOp({ compare: isAsKnown(key, known), success: [op], failure: [getOp(key)] });
}

/** What a read has found, also the one in the place of an `opIfUnchanged()` that was not done. */
export function foundBy(response: OpResult | undefined): KeyValue | undefined {
  const read = response?.type === "txn" ? response.responses[0] : response;
  if (read?.type !== "range") throw new TypeError("a read was answered by something else");
  return read.kvs[0];
}
