import { type Compare, deleteOp, type EtcdClient, type Op, type TxnCallOptions } from "../../src/index.ts";
import { isAsKnown, type KeyAsKnown } from "./is-as-known.ts";

export interface GuardedDeleteOptions extends TxnCallOptions {
  /** What else must hold, and what is written in its place, in the same txn. */
  readonly instead?: { readonly compare: readonly Compare[]; readonly success: readonly Op[] } | undefined;
}

/** @returns the revision at which the key was deleted; undefined when it is no longer as it was known */
export async function deleteIfUnchanged(
  etcd: Pick<EtcdClient, "txn">,
  key: string,
  known: KeyAsKnown,
  { instead, ...options }: GuardedDeleteOptions = {},
): Promise<number | undefined> {
  const compare = [...isAsKnown(key, known), ...(instead?.compare ?? [])];
  const success = [deleteOp(key), ...(instead?.success ?? [])];
  const { succeeded, revision } = await etcd.txn({ compare, success }, options);
  return succeeded ? revision : undefined;
}
