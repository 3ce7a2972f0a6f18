import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { checkPlainObject, isPlainObject, unawaited } from "../errors/plain-object.ts";
import { shown } from "../errors/shown.ts";
import { unknownOption } from "../errors/unknown-option.ts";
import { isCompare } from "./compare.ts";
import { isSimpleOp } from "./op.ts";

const requestNames = ["compare", "success", "failure"] as const;
const opMakers = "putOp(), getOp() and the like";
const compareMakers = "keyMissing(), compareModRevision() and the like";

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
  for (const name of ["success", "failure"] as const) checkList(what, path(name), request[name], opMakers, isOp);
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
