import { compareModRevision, deleteOp, type EtcdClient, type KeyValue, type TxnCallOptions } from "../../src/index.ts";

/** @returns the revision at which the key was deleted; undefined when it is no longer as it was known */
export async function deleteIfUnchanged(
  etcd: Pick<EtcdClient, "txn">,
  key: string,
  known: Pick<KeyValue, "modRevision">,
  options?: TxnCallOptions,
): Promise<number | undefined> {
  const { succeeded, revision } = await etcd.txn(
    { compare: [compareModRevision(key, "equal", known.modRevision)], success: [deleteOp(key)] },
    options,
  );
  return succeeded ? revision : undefined;
}
