import { deleteOp, type EtcdClient, type TxnCallOptions } from "../../src/index.ts";
import { isAsKnown, type KeyAsKnown } from "./is-as-known.ts";

/** @returns the revision at which the key was deleted; undefined when it is no longer as it was known */
export async function deleteIfUnchanged(
  etcd: Pick<EtcdClient, "txn">,
  key: string,
  known: KeyAsKnown,
  options: TxnCallOptions = {},
): Promise<number | undefined> {
  const { succeeded, revision } = await etcd.txn({ compare: isAsKnown(key, known), success: [deleteOp(key)] }, options);
  return succeeded ? revision : undefined;
}
