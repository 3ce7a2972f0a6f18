import { InvalidOptionError } from "../errors/invalid-option-error.ts";

declare const brand: unique symbol;

/** The id of a lease: lower-case hex without leading zeros, as `etcdctl` prints it. */
export type LeaseId = string & { readonly [brand]: "LeaseId" };

/** A lease's id, or a handle that has one. */
export type LeaseRef = LeaseId | { readonly id: LeaseId };

/** @throws InvalidOptionError for what is neither */
export function toLeaseId(lease: LeaseRef): LeaseId {
  const id = typeof lease === "string" ? lease : lease?.id;
  if (typeof id === "string" && /^[0-9a-f]{1,16}$/.test(id)) return id;
  throw new InvalidOptionError("lease", "lease", "must be a lease, or its id in lower-case hex as leaseId() makes it");
}

/**
 * Checks a lease id that comes from outside, for instance from `etcdctl lease grant`.
 *
 * @throws InvalidOptionError if it is not the hex form of a positive 63-bit number
 */
export function leaseId(hex: string): LeaseId {
  if (typeof hex !== "string" || !/^[0-9a-fA-F]{1,16}$/.test(hex)) {
    throw new InvalidOptionError("leaseId", "hex", "must be 1 to 16 hex digits");
  }
  const value = BigInt(`0x${hex}`);
  if (value === 0n || value >= 2n ** 63n) {
    throw new InvalidOptionError("leaseId", "hex", "must be above 0 and below 2^63");
  }
  return value.toString(16) as LeaseId;
}

/** As the protocol writes it: a decimal int64. */
export function leaseIdToDecimal(id: LeaseId): string {
  return BigInt(`0x${id}`).toString();
}

/** From the protocol's decimal int64; 0 means "no lease". */
export function leaseIdFromDecimal(decimal: string): LeaseId | undefined {
  if (decimal === "0" || decimal === "") return undefined;
  return BigInt.asUintN(64, BigInt(decimal)).toString(16) as LeaseId;
}
