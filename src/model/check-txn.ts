import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { checkPlainObject, isPlainObject, unawaited } from "../errors/plain-object.ts";
import { shown } from "../errors/shown.ts";
import { unknownOption } from "../errors/unknown-option.ts";
import { isCompare } from "./compare.ts";
import { isSimpleOp, type Op } from "./op.ts";

const requestNames = ["compare", "success", "failure"] as const;
const opMakers = "putOp(), getOp() and the like";
const compareMakers = "keyMissing(), compareModRevision() and the like";

const fatal =
  "must not keep the value or the lease of a key (ignoreValue, ignoreLease) that it deletes up to the last key: etcd " +
  "takes such a txn, ends by it, and ends again at each start";

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
  checkTxn(what, op, `${option}[]`);
  return true;
}

/** Keys of which a put keeps something, and where deletions up to the last key begin. */
interface Kept {
  readonly keys: readonly Uint8Array[];
  readonly deletedFrom: readonly Uint8Array[];
}

/**
 * etcd refuses a txn that puts and deletes a key, unless the range ends at the last key. Then it executes it, and such a
 * put has nothing to keep: the server ends, as does each member that comes to this entry of the log. Seen with 3.4.23
 * and 3.5.16.
 */
function endsEtcd(ops: readonly Op[]): boolean {
  return keptBy(ops) === undefined;
}

/** @returns undefined where operations that are executed together would end etcd */
function keptBy(ops: readonly Op[]): Kept | undefined {
  const all = { keys: [] as Uint8Array[], deletedFrom: [] as Uint8Array[] };
  for (const op of ops) {
    // One branch of a txn is executed, so they do not meet each other.
    const branches = op.type === "txn" ? [keptBy(op.success ?? []), keptBy(op.failure ?? [])] : [keptByOne(op)];
    for (const kept of branches) if (!kept || meet(kept, all)) return undefined;
    for (const kept of branches) {
      all.keys.push(...(kept?.keys ?? []));
      all.deletedFrom.push(...(kept?.deletedFrom ?? []));
    }
  }
  return all;
}

const nothing: Kept = { keys: [], deletedFrom: [] };

function keptByOne(op: Exclude<Op, { type: "txn" }>): Kept {
  if (op.type === "put") return op.ignoreValue || op.ignoreLease ? { ...nothing, keys: [op.key] } : nothing;
  const toTheLast = op.type === "delete" && op.range.end?.length === 1 && op.range.end[0] === 0;
  return toTheLast ? { ...nothing, deletedFrom: [op.range.start] } : nothing;
}

function meet({ keys }: Kept, { deletedFrom }: Kept): boolean {
  return keys.some((key) => deletedFrom.some((start) => Buffer.compare(start, key) <= 0));
}
