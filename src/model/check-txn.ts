import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { checkPlainObject, isPlainObject, unawaited } from "../errors/plain-object.ts";
import { shown } from "../errors/shown.ts";
import { unknownOption } from "../errors/unknown-option.ts";
import { isCompare } from "./compare.ts";
import { isToTheLast } from "./key-range.ts";
import { isSimpleOp, type Op } from "./op.ts";

const requestNames = ["compare", "success", "failure"] as const;
const opMakers = "putOp(), getOp() and the like";
const compareMakers = "keyMissing(), compareModRevision() and the like";

const fatal =
  "must not keep the value or the lease (ignoreValue, ignoreLease) of a key that it has deleted before, up to the last " +
  "key: etcd takes such a txn, ends by it, and ends again at each start";

/**
 * What etcd would be sent if a part of a txn were not looked at is another txn: one without its compares writes
 * unguarded.
 *
 * @param option where the request stands, as the caller wrote it
 * @throws InvalidOptionError unless all compares and operations are as their functions make them
 */
export function checkTxn(what: string, request: unknown, option = "request"): void {
  checkPlainObject(what, option, request, "an object with success, and maybe compare and failure");
  const path = (name: string) => (option === "request" ? name : `${option}.${name}`);
  for (const name in request) {
    const known = (requestNames as readonly string[]).includes(name) || (name === "type" && option !== "request");
    if (!known && Object.hasOwn(request, name)) throw unknownOption(what, path(name), name, requestNames);
  }
  checkList(what, path("compare"), request.compare, compareMakers, isCompare);
  for (const name of ["success", "failure"] as const) {
    checkList(what, path(name), request[name], opMakers, isOp);
    if (request[name] !== undefined && endsEtcd(request[name] as readonly Op[])) {
      throw new InvalidOptionError(what, path(name), fatal);
    }
  }
}

function checkList(
  what: string,
  option: string,
  items: unknown,
  makers: string,
  isItem: (item: unknown, what: string, option: string) => boolean,
): void {
  if (items === undefined) return;
  if (!Array.isArray(items)) {
    const problem = `must be a list of what ${makers} make, not ${shown(items)}`;
    throw new InvalidOptionError(what, option, `${problem}${unawaited(items)}`);
  }
  for (let index = 0; index < items.length; index++) {
    const item: unknown = items[index];
    if (isItem(item, what, option)) continue;
    const problem = `must be what ${makers} make, not ${shown(item)}`;
    throw new InvalidOptionError(what, `${option}[${index}]`, `${problem}${unawaited(item)}`);
  }
}

function isOp(op: unknown, what: string, option: string): boolean {
  if (!isPlainObject(op)) return false;
  if (op.type !== "txn") return isSimpleOp(op);
  if (!Array.isArray(op.compare) || !Array.isArray(op.success) || !Array.isArray(op.failure)) return false;
  checkTxn(what, op, `${option}[]`);
  return true;
}

/** What of operations that are executed together matters to those before and behind them. */
interface Kept {
  /** Keys of which a put keeps something. */
  readonly keys: readonly Uint8Array[];
  /** Where the widest deletion up to the last key begins. */
  readonly deletedFrom: Uint8Array | undefined;
}

/**
 * etcd refuses a txn that puts and deletes a key, unless the range ends at the last key. Then it executes it in order,
 * and a put behind the deletion has nothing to keep: the server ends, as does each member that comes to this entry of
 * the log. Seen with 3.4.23 and 3.5.16.
 */
function endsEtcd(ops: readonly Op[]): boolean {
  return keptBy(ops) === undefined;
}

/** @returns undefined where they would end etcd */
function keptBy(ops: readonly Op[]): Kept | undefined {
  const keys: Uint8Array[] = [];
  let deletedFrom: Uint8Array | undefined;
  for (const op of ops) {
    if (op.type === "put") {
      if (!op.ignoreValue && !op.ignoreLease) continue;
      if (isBehind(op.key, deletedFrom)) return undefined;
      keys.push(op.key);
    } else if (op.type === "delete") {
      if (isToTheLast(op.range.end)) deletedFrom = first(deletedFrom, op.range.start);
    } else if (op.type === "txn") {
      // One of the two is executed, so they do not meet each other.
      const branches = [keptBy(op.success), keptBy(op.failure)];
      const before = deletedFrom;
      for (const kept of branches) {
        if (!kept || kept.keys.some((key) => isBehind(key, before))) return undefined;
        for (const key of kept.keys) keys.push(key);
        if (kept.deletedFrom) deletedFrom = first(deletedFrom, kept.deletedFrom);
      }
    }
  }
  return { keys, deletedFrom };
}

function isBehind(key: Uint8Array, deletedFrom: Uint8Array | undefined): boolean {
  return deletedFrom !== undefined && Buffer.compare(deletedFrom, key) <= 0;
}

function first(one: Uint8Array | undefined, other: Uint8Array): Uint8Array {
  return isBehind(other, one) ? (one as Uint8Array) : other;
}
