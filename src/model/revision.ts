import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { ProtocolError } from "../errors/protocol-error.ts";
import { shown } from "./call-options.ts";

/**
 * From the protocol's decimal int64.
 *
 * @throws ProtocolError above 2^53-1: a revision is never rounded
 */
export function revisionFromDecimal(decimal: string): number {
  const value = Number(decimal);
  if (!Number.isSafeInteger(value)) {
    throw new ProtocolError(`etcd sent ${decimal}, which a number cannot hold exactly`);
  }
  return value;
}

/** @throws InvalidOptionError unless `value` is a whole number of at least `minimum` */
export function checkRevision(what: string, option: string, value: number | undefined, minimum = 1): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= minimum)) return;
  throw new InvalidOptionError(what, option, `must be a whole number of at least ${minimum}, not ${shown(value)}`);
}
