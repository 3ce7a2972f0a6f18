import { type BytesLike, type CallOptions, type EtcdClient, type LeaseRef, type Op, putOp } from "../../src/index.ts";
import { isAsKnown, type KeyAsKnown } from "./is-as-known.ts";

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
  known: KeyAsKnown | undefined,
  { value, lease, room }: GuardedPut,
  options?: CallOptions,
): Promise<number | undefined> {
  const { succeeded, revision } = await etcd.txn(
    {
      compare: isAsKnown(key, known),
      success: [putOp(key, value, { lease })],
      failure: room,
    },
    options,
  );
  return succeeded ? revision : undefined;
}
