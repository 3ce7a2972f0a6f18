import { type EtcdClient, prefix, putOp } from "etcd-recipes";

/** Where the instances stand. */
export const below = "/bench/";

/** So many instances in the endpoint format, and nothing else. */
export async function fill(etcd: EtcdClient, size: number): Promise<void> {
  await etcd.delete(prefix(below));
  await putInstances(etcd, numbers(size), "a");
}

/**
 * Puts the instances with these numbers.
 *
 * @param together how many in a txn, at most 128
 * @returns the revision of the last
 */
export async function putInstances(
  etcd: EtcdClient,
  indexes: readonly number[],
  zone: string,
  together = 100,
): Promise<number> {
  let revision = 0;
  for (let at = 0; at < indexes.length; at += together) {
    const puts = indexes.slice(at, at + together).map((index) => putOp(instanceKey(index), instanceValue(index, zone)));
    revision = (await etcd.txn({ success: puts })).revision;
  }
  return revision;
}

/** From 0 to `size` - 1. */
export function numbers(size: number): number[] {
  return Array.from({ length: size }, (_, index) => index);
}

export function instanceKey(index: number): string {
  return `${below}m${String(index).padStart(7, "0")}`;
}

/** Some 75 bytes. */
export function instanceValue(index: number, zone: string): string {
  return JSON.stringify({ Op: 0, Addr: `10.0.0.1:${index}`, Metadata: { zone, version: "1.0.0" } });
}
