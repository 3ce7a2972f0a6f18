import { readFileSync } from "node:fs";

/** A line of the README that gives a role a range. */
export interface ReadmeGrant {
  /** What follows `etcdctl`. */
  readonly args: readonly string[];
  readonly type: "read" | "write" | "readwrite";
  /** A key, or a prefix. */
  readonly keys: string;
  readonly prefix: boolean;
}

export interface ReadmeRole {
  readonly role: string;
  readonly grants: readonly ReadmeGrant[];
}

const line = /^etcdctl (role grant-permission (\S+) (read|write|readwrite) (--prefix=true )?(\S+))$/gm;

/** The roles of the README's recipes, by their lines. */
export function readmeRoles(path = new URL("../../README.md", import.meta.url)): ReadmeRole[] {
  const roles = new Map<string, ReadmeGrant[]>();
  for (const [, args = "", role = "", type, prefix, keys = ""] of readFileSync(path, "utf8").matchAll(line)) {
    const grant = { args: args.split(" "), type: type as ReadmeGrant["type"], keys, prefix: prefix !== undefined };
    roles.set(role, [...(roles.get(role) ?? []), grant]);
  }
  return [...roles].map(([role, grants]) => ({ role, grants }));
}
