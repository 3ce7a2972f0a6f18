import {
  type BytesLike,
  type CallOptions,
  compareModRevision,
  type EtcdClient,
  type KeyValue,
  type LeaseRef,
  type Op,
  putOp,
} from "../../src/index.ts";

export interface GuardedPut {
  readonly value: BytesLike;
  readonly lease?: LeaseRef | undefined;
  /** Room for what comes after it, see `requestRoom()`. */
  readonly room?: readonly Op[] | undefined;
}

/**
 * @param known undefined: the key was missing
 * @returns the revision of the put; undefined when the key is no longer as it was known
 */
export async function putIfUnchanged(
  etcd: Pick<EtcdClient, "txn">,
  key: string,
  known: Pick<KeyValue, "modRevision"> | undefined,
  { value, lease, room }: GuardedPut,
  options?: CallOptions,
): Promise<number | undefined> {
  const { succeeded, revision } = await etcd.txn(
    {
      compare: [compareModRevision(key, "equal", known?.modRevision ?? 0)],
      success: [putOp(key, value, { lease })],
      failure: room,
    },
    options,
  );
  return succeeded ? revision : undefined;
}
