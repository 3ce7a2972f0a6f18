import { ConflictError, type EtcdClient, type KeyValue, prefix as prefixRange } from "../../src/index.ts";
import type { RegistrationFormat } from "../registration-format/index.ts";
import { codecOf } from "../registration-format/internal.ts";

/** So many values beside a registration are looked at: one that is of another format is not alone, mostly. */
export const MOST_LOOKED_AT = 100;

type Reader = Pick<EtcdClient, "range">;

/** Looks that are under way, by what they read: registrations that begin together share one. */
const shared = new WeakMap<Reader, Map<string, Promise<readonly KeyValue[]>>>();

export interface Beside {
  readonly key: string;
  readonly format: RegistrationFormat;
  /** Whether the user chose the format. If not, only values at whose side it may not stand count: those of kratos. */
  readonly isChosen: boolean;
}

/**
 * Looks at what stands beside a registration: a reader of one format gives up its whole list at a value of another one
 * (kratos' `GetService`, Go's `endpoints.Manager.List`).
 *
 * @param signal ends a look of its own; without one, registrations that begin together share a look
 * @returns what is wrong, undefined when nothing is
 * @throws what the read throws
 */
export function findForeignFormat(
  etcd: Reader,
  beside: Beside,
  signal?: AbortSignal,
): Promise<ConflictError | undefined> {
  const folder = folderOf(beside.key);
  // Without a folder every key there is would be beside it.
  if (folder.length <= 1) return Promise.resolve(undefined);
  const looked = signal ? look(etcd, folder, { signal }) : lookTogether(etcd, folder);
  return looked.then((kvs) => {
    const foreign = kvs.find((kv) => kv.key !== beside.key && isForeign(kv, beside));
    return foreign && foreignFormat(foreign, beside);
  });
}

/** What a key stands in: all up to its last slash. */
export function folderOf(key: string): string {
  return key.slice(0, key.lastIndexOf("/") + 1);
}

/** Whether a registration may not stand beside this value. */
export function isForeign(kv: KeyValue, { format, isChosen }: Omit<Beside, "key">): boolean {
  return isChosen ? !isOf(format, kv) : isOf("kratos", kv);
}

/** @param foreign stands beside the registration */
export function foreignFormat(foreign: KeyValue, { key, format }: Beside): ConflictError {
  const { name } = codecOf(format);
  return new ConflictError(
    `${folderOf(key)} holds values that are not in the format ${name}, such as that of ${foreign.key}: a reader of either format may lose its whole list`,
  );
}

async function look(etcd: Reader, folder: string, options: { signal?: AbortSignal }): Promise<readonly KeyValue[]> {
  const { kvs } = await etcd.range(prefixRange(folder), { limit: MOST_LOOKED_AT, ...options });
  return kvs;
}

function lookTogether(etcd: Reader, folder: string): Promise<readonly KeyValue[]> {
  const looks = shared.get(etcd) ?? new Map<string, Promise<readonly KeyValue[]>>();
  shared.set(etcd, looks);
  const underWay = looks.get(folder);
  if (underWay) return underWay;
  const mine = look(etcd, folder, {}).finally(() => looks.delete(folder));
  looks.set(folder, mine);
  return mine;
}

function isOf(format: RegistrationFormat, { text, key }: KeyValue): boolean {
  try {
    return codecOf(format).decode(text, key) !== undefined;
  } catch {
    return false;
  }
}
