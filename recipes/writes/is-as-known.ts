import { type Compare, compareLease, compareModRevision, type KeyValue, keyMissing } from "../../src/index.ts";

/** What the key must still be for a write to be done. */
export type KeyAsKnown = Pick<KeyValue, "modRevision" | "lease">;

/**
 * The compares of a write that is harmless unless the key is as it was known.
 *
 * The lease is compared, too: within one history it says nothing more than the modRevision, but a wiped etcd counts
 * from 1 again, so that a write which was on its way can meet another state with the same modRevision. Random lease ids
 * do not come again.
 *
 * @param known undefined: the key was missing
 */
export function isAsKnown(key: string, known: KeyAsKnown | undefined): readonly Compare[] {
  if (!known) return [keyMissing(key)];
  return [compareModRevision(key, "equal", known.modRevision), compareLease(key, "equal", known.lease)];
}

/** The id of a lease, tags, lengths and a number around a key. */
const COMPARE_BYTES = 48;
const LEASE_ID_BYTES = 12;

/** By how much the compares of a later write can be longer than those of one over `known`, see `requestRoom()`. */
export function laterCompareBytes(key: string, known: Pick<KeyAsKnown, "lease"> | undefined): number {
  if (!known) return Buffer.byteLength(key) + COMPARE_BYTES;
  return known.lease === undefined ? LEASE_ID_BYTES : 0;
}
