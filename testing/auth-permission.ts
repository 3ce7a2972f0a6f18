/** The keys of a permission: one key, all keys under a prefix ("" is every key), or a range without its end. */
export type PermittedKeys = string | { readonly prefix: string } | { readonly from: string; readonly to: string };

/** What a role may do with which keys, as `etcdctl role grant-permission` gives it. */
export type AuthPermission =
  | { readonly read: PermittedKeys }
  | { readonly write: PermittedKeys }
  | { readonly readwrite: PermittedKeys };

const types = ["read", "write", "readwrite"] as const;

/** The keys as etcd's gateway takes them, base64. */
export interface WireKeys {
  readonly key: string;
  readonly range_end?: string;
}

/** @throws TypeError when it is no permission */
export function wirePermission(permission: AuthPermission): WireKeys & { readonly permType: string } {
  const entries = typeof permission === "object" && permission !== null ? Object.entries(permission) : [];
  const [entry] = entries;
  const type = types.find((known) => known === entry?.[0]);
  if (type === undefined || entries.length !== 1) {
    throw new TypeError('a permission has one of "read", "write" and "readwrite", and nothing else');
  }
  return { permType: type.toUpperCase(), ...wireKeys(entry?.[1] as PermittedKeys) };
}

/** @throws TypeError when these are no keys */
export function wireKeys(keys: PermittedKeys): WireKeys {
  if (typeof keys === "string" && keys !== "") return { key: base64(keys) };
  if (typeof keys === "object" && keys !== null && !("from" in keys) && typeof keys.prefix === "string") {
    // An empty key is none to etcd: "\0" is the first one, and as an end it means "no end".
    const key = keys.prefix === "" ? Buffer.from([0]) : Buffer.from(keys.prefix);
    return { key: key.toString("base64"), range_end: endOfPrefix(Buffer.from(keys.prefix)).toString("base64") };
  }
  if (typeof keys === "object" && keys !== null && "from" in keys && keys.from !== "" && keys.from < keys.to) {
    return { key: base64(keys.from), range_end: base64(keys.to) };
  }
  throw new TypeError('keys must be a key, { prefix } or { from, to }; neither a key nor from and to may be ""');
}

function endOfPrefix(prefix: Buffer): Buffer {
  const last = prefix.findLastIndex((byte) => byte < 0xff);
  if (last === -1) return Buffer.from([0]);
  const end = Buffer.from(prefix.subarray(0, last + 1));
  end[last] = (end[last] as number) + 1;
  return end;
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
