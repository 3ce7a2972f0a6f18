import { ConflictError, type EtcdClient, type KeyValue, prefix as prefixRange } from "../../src/index.ts";
import type { RegistrationFormat } from "../registration-format/index.ts";
import { codecOf } from "../registration-format/internal.ts";

/** So many values beside a registration are looked at: one that is of another format is not alone, mostly. */
const MOST_LOOKED_AT = 100;

/**
 * Looks at what stands beside a registration: a reader of one format gives up its whole list at a value of another one
 * (kratos' `GetService`, Go's `endpoints.Manager.List`).
 *
 * @returns what is wrong, undefined when nothing is
 * @throws what the read throws
 */
export async function findForeignFormat(
  etcd: Pick<EtcdClient, "range">,
  { key, format }: { readonly key: string; readonly format: RegistrationFormat },
  signal: AbortSignal,
): Promise<ConflictError | undefined> {
  const folder = key.slice(0, key.lastIndexOf("/") + 1);
  // Without a folder every key there is would be beside it.
  if (folder.length <= 1) return undefined;
  const { kvs } = await etcd.range(prefixRange(folder), { limit: MOST_LOOKED_AT, signal });
  const foreign = kvs.find((kv) => kv.key !== key && !isOf(format, kv));
  if (!foreign) return undefined;
  const { name } = codecOf(format);
  return new ConflictError(
    `${folder} holds values that are not in the format ${name}, such as that of ${foreign.key}: a reader of either format may lose its whole list`,
  );
}

function isOf(format: RegistrationFormat, { text, key }: KeyValue): boolean {
  try {
    return codecOf(format).decode(text, key) !== undefined;
  } catch {
    return false;
  }
}
