import {
  type AuthRole,
  type EtcdClient,
  EtcdError,
  prefix as keysBelow,
  RequestRefusedError,
  type RolePermission,
} from "../../recipes/index.ts";
import { bad, type Check, type Finding, ok, warn } from "./finding.ts";

const MOST_SHOWN = 6;

/** Whether authentication is on, who this client is, and what its roles permit, below the prefix above all. */
export const checkAuth: Check = async ({ etcd, timeoutMs, user, prefix }) => {
  const enabled = await etcd.auth.status({ timeoutMs }).then(
    (status) => status.enabled,
    (error: unknown) => {
      if (isRefusal(error)) return true;
      // An etcd before 3.5 has no such call.
      if (error instanceof RequestRefusedError) return undefined;
      throw error;
    },
  );
  if (enabled === false)
    return [warn("authentication", "it is off", "all that reach etcd may read and write everything")];
  const state = enabled ? "it is on" : "this etcd does not say whether it is on";
  if (user === undefined) return [ok("authentication", state)];
  const roles = await rolesOf(etcd, user, timeoutMs);
  if (roles === undefined) return [ok("authentication", `${state}; ${user} may not look at its roles`)];
  const findings: Finding[] = [ok("authentication", `${state}; ${user} ${permittedBy(roles)}`)];
  if (prefix !== undefined) findings.push(judgeAccess(user, roles, prefix));
  return findings;
};

async function rolesOf(etcd: EtcdClient, user: string, timeoutMs: number): Promise<AuthRole[] | undefined> {
  try {
    const { roles } = await etcd.auth.users.get(user, { timeoutMs });
    return await Promise.all(roles.map((role) => etcd.auth.roles.get(role, { timeoutMs })));
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

function isRefusal(error: unknown): boolean {
  return (
    error instanceof EtcdError && (error.code === "ETCD_PERMISSION_DENIED" || error.code === "ETCD_UNAUTHENTICATED")
  );
}

function permittedBy(roles: readonly AuthRole[]): string {
  if (roles.some(({ name }) => name === "root")) return "has the role root, and may do everything";
  if (roles.length === 0) return "has no role, and may do nothing with keys";
  const names = roles.map(({ name }) => name).join(", ");
  const all = roles.flatMap(({ permissions }) => permissions).map(permissionText);
  const more = all.length > MOST_SHOWN ? `, and ${all.length - MOST_SHOWN} more` : "";
  const list = all.length === 0 ? "nothing" : `${all.slice(0, MOST_SHOWN).join(", ")}${more}`;
  return `has ${names}, which permit ${list}`;
}

/** Whether the roles together permit the whole prefix. */
export function judgeAccess(user: string, roles: readonly AuthRole[], prefix: string): Finding {
  const isRoot = roles.some(({ name }) => name === "root");
  const all = roles.flatMap(({ permissions }) => permissions);
  const has = (type: "read" | "write") =>
    isRoot ||
    covers(
      all.filter((permission) => permission.type === type || permission.type === "readwrite"),
      prefix,
    );
  const role = roles[0]?.name ?? "ROLE";
  const grant = (type: string) => `etcdctl role grant-permission --prefix ${role} ${type} ${prefix}`;
  if (!has("read")) return bad("permission", `${user} may not read ${prefix}`, grant("read"));
  if (!has("write"))
    return warn("permission", `${user} may read ${prefix} and not write there`, `to register: ${grant("readwrite")}`);
  return ok("permission", `${user} may read and write ${prefix}`);
}

/** As etcd does it: ranges that meet count as one. */
function covers(permissions: readonly RolePermission[], prefix: string): boolean {
  const { start, end } = keysBelow(prefix);
  let reached = Buffer.from(start);
  const last = end && isToTheLastKey(end) ? undefined : Buffer.from(end ?? []);
  const sorted = permissions.map(({ range }) => range).sort((a, b) => Buffer.compare(a.start, b.start));
  for (const range of sorted) {
    if (Buffer.compare(range.start, reached) > 0) return false;
    if (range.end && isToTheLastKey(range.end)) return true;
    const to = Buffer.from(range.end ?? [...range.start, 0]);
    if (Buffer.compare(to, reached) > 0) reached = to;
    if (last && Buffer.compare(reached, last) >= 0) return true;
  }
  return false;
}

function isToTheLastKey(end: Uint8Array): boolean {
  return end.length === 1 && end[0] === 0;
}

function permissionText({ type, range: { start, end } }: RolePermission): string {
  const from = Buffer.from(start).toString();
  if (end === undefined) return `${type} ${from}`;
  if (isToTheLastKey(end)) return from === "\0" ? `${type} all keys` : `${type} from ${from} on`;
  const isPrefix = Buffer.compare(Buffer.from(keysBelow(start).end ?? []), Buffer.from(end)) === 0;
  return isPrefix ? `${type} ${from}*` : `${type} ${from} up to ${Buffer.from(end).toString()}`;
}
