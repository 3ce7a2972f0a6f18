import type { CallOptions, EtcdClient, KeyValue } from "../../src/index.ts";

/**
 * Reads a key, lets `change` decide what becomes of it, and does both again when the key changed in between.
 *
 * @param change writes only if the key is still as it is given; undefined says that it was not
 * @throws what the read and `change` throw
 */
export async function changeKey<Answer extends NonNullable<unknown>>(
  etcd: Pick<EtcdClient, "get">,
  key: string,
  options: CallOptions,
  change: (known: KeyValue | undefined) => Promise<Answer | undefined>,
): Promise<Answer> {
  for (;;) {
    const answer = await change(await etcd.get(key, options));
    if (answer !== undefined) return answer;
  }
}
