import type { OptionCheck } from "../errors/check-options.ts";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { unawaited } from "../errors/plain-object.ts";
import { shown } from "../errors/shown.ts";

declare const brand: unique symbol;

/**
 * The id of a lease: lower-case hex without leading zeros. `etcdctl` prints 16 digits, some ids with zeros in front:
 * `leaseId()` makes one of that.
 */
export type LeaseId = string & { readonly [brand]: "LeaseId" };

/** A lease's id, or a handle that has one. */
export type LeaseRef = LeaseId | { readonly id: LeaseId };

export const leaseRefCheck: OptionCheck = {
  allowed: "a lease, or its id in lower-case hex as leaseId() makes it",
  holds: (lease) => isLeaseId(typeof lease === "string" ? lease : (lease as { id?: unknown } | null)?.id),
};

export const leaseIdCheck: OptionCheck = {
  allowed: "a lease id: 1 to 16 hex digits, above 0 and below 2^63",
  holds: (id) => typeof id === "string" && /^[0-9a-fA-F]{1,16}$/.test(id) && isPositive63Bit(id),
};

export function isLeaseId(id: unknown): id is LeaseId {
  return typeof id === "string" && /^[1-9a-f][0-9a-f]{0,15}$/.test(id);
}

/** @throws InvalidOptionError for what is neither */
export function toLeaseId(what: string, lease: LeaseRef): LeaseId {
  const id = typeof lease === "string" ? lease : lease?.id;
  if (isLeaseId(id)) return id;
  throw new InvalidOptionError(
    what,
    "lease",
    `must be ${leaseRefCheck.allowed}, not ${shown(lease)}${unawaited(lease)}`,
  );
}

/**
 * Checks a lease id that comes from outside, for instance from `etcdctl lease grant`.
 *
 * @throws InvalidOptionError if it is not the hex form of a positive 63-bit number
 */
export function leaseId(hex: string): LeaseId {
  if (typeof hex !== "string" || !/^[0-9a-fA-F]{1,16}$/.test(hex)) {
    throw new InvalidOptionError("leaseId", "hex", `must be 1 to 16 hex digits, not ${shown(hex)}`);
  }
  if (!isPositive63Bit(hex)) {
    throw new InvalidOptionError("leaseId", "hex", `must be above 0 and below 2^63, not ${shown(hex)}`);
  }
  return BigInt(`0x${hex}`).toString(16) as LeaseId;
}

function isPositive63Bit(hex: string): boolean {
  const value = BigInt(`0x${hex}`);
  return value > 0n && value < 2n ** 63n;
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
