import { deleteOp, type EtcdClient, type KeyValue, type TxnCallOptions } from "../../src/index.ts";
import { isAsKnown } from "./is-as-known.ts";

/** @returns the revision at which the key was deleted; undefined when it is no longer as it was known */
export async function deleteIfUnchanged(
  etcd: Pick<EtcdClient, "txn">,
  key: string,
  known: Pick<KeyValue, "modRevision" | "lease">,
  options?: TxnCallOptions,
): Promise<number | undefined> {
  const { succeeded, revision } = await etcd.txn({ compare: isAsKnown(key, known), success: [deleteOp(key)] }, options);
  return succeeded ? revision : undefined;
}
