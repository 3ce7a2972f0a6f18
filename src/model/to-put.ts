import { flag } from "../errors/check-options.ts";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { type BytesLike, toValue } from "./bytes.ts";
import { toKey } from "./key-range.ts";
import { type LeaseRef, toLeaseId } from "./lease-id.ts";
import type { PutOp } from "./op.ts";

/** What of a key a put leaves as it is. etcd refuses it where there is no such key. */
export interface KeptByPut {
  /** Keep the value that the key has: `value` must be empty. For a key that moves to another lease. @default false */
  ignoreValue?: boolean | undefined;
  /**
   * Keep the lease that the key is on, if any: `lease` must be left out.
   *
   * @default false: without `lease` it leaves it
   */
  ignoreLease?: boolean | undefined;
}

export const keptByPutChecks = { ignoreValue: flag, ignoreLease: flag };

/** @throws InvalidOptionError for a bad key, value or lease, and for what is both given and kept */
export function toPut(
  what: string,
  key: BytesLike,
  value: BytesLike,
  options: { lease?: LeaseRef | undefined; previous?: boolean | undefined } & KeptByPut,
): Omit<PutOp, "type"> {
  const { lease, previous, ignoreValue, ignoreLease } = options;
  const put = {
    key: toKey(what, key),
    value: toValue(what, value),
    lease: lease === undefined ? undefined : toLeaseId(what, lease),
    previous,
    ignoreValue,
    ignoreLease,
  };
  if (ignoreValue && put.value.length > 0) {
    throw new InvalidOptionError(what, "value", 'must be "" with ignoreValue, which keeps the value that the key has');
  }
  if (ignoreLease && lease !== undefined) {
    throw new InvalidOptionError(what, "lease", "must be left out with ignoreLease, which keeps the key's own");
  }
  return put;
}
