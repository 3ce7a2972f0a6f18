import { ProtocolError } from "../errors/protocol-error.ts";

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
