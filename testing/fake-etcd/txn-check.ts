import type { Op, TxnOp } from "../../src/model/op.ts";
import { isWithin, type KeyText, keyText, type TextRange, textRange } from "./key-text.ts";
import { refuse } from "./refusal.ts";

type Txn = Omit<TxnOp, "type">;

/** What a branch of a txn puts and deletes. */
interface Touched {
  readonly puts: Set<KeyText>;
  readonly deletes: TextRange[];
}

/**
 * What etcd looks at before it executes a txn, whichever branch that will be (api/v3rpc/key.go).
 *
 * @throws GrpcFailure
 */
export function checkTxn(txn: Txn, mostOperations: number): void {
  checkSize(txn, mostOperations);
  for (const branch of [txn.success, txn.failure]) touchedBy(branch);
}

/** Each level may have as many operations as the ones above leave it. */
function checkSize({ compare, success, failure }: Txn, most: number): void {
  const operations = Math.max(compare.length, success.length, failure.length);
  if (operations > most) throw refuse("tooManyOps");
  for (const { range } of compare) if (range.start.length === 0) throw refuse("emptyKey");
  for (const op of [...success, ...failure]) {
    if (op.type === "txn") checkSize(op, most - operations);
    else if ((op.type === "put" ? op.key : op.range.start).length === 0) throw refuse("emptyKey");
  }
}

/**
 * No key may be put twice, or put and deleted. Two branches of one txn may: only one of them is executed.
 *
 * etcd does not look for puts in a deletion up to the last key: here it takes the end of that, a zero byte, as a key.
 */
function touchedBy(ops: readonly Op[]): Touched {
  const touched: Touched = { puts: new Set(), deletes: [] };
  const { puts, deletes } = touched;
  const put = (key: KeyText, mayBeThere = false) => {
    if (!mayBeThere && puts.has(key)) throw refuse("duplicateKey");
    if (deletes.some((range) => isWithin(range, key))) throw refuse("duplicateKey");
    puts.add(key);
  };
  for (const op of ops) {
    if (op.type !== "delete") continue;
    const range = textRange(op.range);
    if (range.end !== Number.POSITIVE_INFINITY) deletes.push(range);
  }
  for (const op of ops) {
    if (op.type !== "txn") continue;
    const success = touchedBy(op.success);
    const failure = touchedBy(op.failure);
    for (const key of success.puts) put(key);
    for (const key of failure.puts) put(key, success.puts.has(key));
    deletes.push(...success.deletes, ...failure.deletes);
  }
  for (const op of ops) if (op.type === "put") put(keyText(op.key));
  return touched;
}
