import { readFileSync } from "node:fs";

/** A line of the security guide that gives a role a range. */
export interface DocumentedGrant {
  /** What follows `etcdctl`. */
  readonly args: readonly string[];
  readonly type: "read" | "write" | "readwrite";
  /** A key, or a prefix. */
  readonly keys: string;
  readonly prefix: boolean;
}

export interface DocumentedRole {
  readonly role: string;
  readonly grants: readonly DocumentedGrant[];
}

const line = /^etcdctl (role grant-permission (\S+) (read|write|readwrite) (--prefix=true )?(\S+))$/gm;

/** The roles of the recipes in the security guide, by their lines. */
export function documentedRoles(path = new URL("../../docs/guides/security.md", import.meta.url)): DocumentedRole[] {
  const roles = new Map<string, DocumentedGrant[]>();
  for (const [, args = "", role = "", type, prefix, keys = ""] of readFileSync(path, "utf8").matchAll(line)) {
    const grant = { args: args.split(" "), type: type as DocumentedGrant["type"], keys, prefix: prefix !== undefined };
    roles.set(role, [...(roles.get(role) ?? []), grant]);
  }
  return [...roles].map(([role, grants]) => ({ role, grants }));
}
