import type { PermissionType, RolePermission } from "../connection/index.ts";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { checkPlainObject } from "../errors/plain-object.ts";
import { quoted, shown } from "../errors/shown.ts";
import { unknownOption } from "../errors/unknown-option.ts";
import { showAs } from "../internal/show-as.ts";
import { type CallOptions, callOptionsOf } from "../model/call-options.ts";
import { type KeyOrRange, type KeyRange, toKeyRange } from "../model/key-range.ts";
import type { AdminCalls } from "./admin-calls.ts";
import { checkName } from "./admin-checks.ts";

/** A role and what it permits. */
export interface AuthRole {
  readonly name: string;
  readonly permissions: readonly RolePermission[];
}

/** What a role is to permit. */
export interface PermissionToGrant {
  readonly type: PermissionType;
  /** A key, or `prefix()`, `keyRange()`, `allKeys()`: keys of the whole etcd, also where the client has a namespace. */
  readonly range: KeyOrRange;
}

const checkOf = {
  add: callOptionsOf("auth.roles.add"),
  get: callOptionsOf("auth.roles.get"),
  list: callOptionsOf("auth.roles.list"),
  delete: callOptionsOf("auth.roles.delete"),
  grant: callOptionsOf("auth.roles.grant"),
  revoke: callOptionsOf("auth.roles.revoke"),
};
const types: readonly unknown[] = ["read", "write", "readwrite"] satisfies PermissionType[];
const names = ["type", "range"];

/** The roles of etcd: see `Auth`. Their ranges are keys of the whole etcd, also where the client has a namespace. */
export class Roles {
  static {
    showAs(Roles, "Roles", (it) => ({ endpoints: it.#calls.endpoints }));
  }

  readonly #calls: AdminCalls;

  /** @internal */
  constructor(calls: AdminCalls) {
    this.#calls = calls;
  }

  /**
   * Adds a role that permits nothing.
   *
   * @throws ConflictError when there is such a role
   */
  async add(name: string, options?: CallOptions): Promise<void> {
    checkName("auth.roles.add", "name", name);
    checkOf.add(options);
    await this.#calls.run("auth.roles.add", quoted(name), options, (admin) => admin.roleAdd(name, options));
  }

  /**
   * A role and what it permits. Users may ask for roles of their own.
   *
   * @throws RequestRefusedError when there is no such role
   */
  async get(name: string, options?: CallOptions): Promise<AuthRole> {
    checkName("auth.roles.get", "name", name);
    checkOf.get(options);
    const permissions = await this.#calls.run("auth.roles.get", quoted(name), options, (admin) =>
      admin.roleGet(name, options),
    );
    return { name, permissions };
  }

  /** The names of all roles. */
  async list(options?: CallOptions): Promise<readonly string[]> {
    checkOf.list(options);
    return this.#calls.run("auth.roles.list", undefined, options, (admin) => admin.roleList(options));
  }

  /**
   * Deletes a role; its users lose what it permitted.
   *
   * @throws RequestRefusedError when there is no such role
   */
  async delete(name: string, options?: CallOptions): Promise<void> {
    checkName("auth.roles.delete", "name", name);
    checkOf.delete(options);
    await this.#calls.run("auth.roles.delete", quoted(name), options, (admin) => admin.roleDelete(name, options));
  }

  /**
   * Permits a role to read or write a range, in the place of what it was permitted for the very same range: both at
   * once is `readwrite`. It is repeated on other endpoints within its time.
   *
   * ```ts
   * await etcd.auth.roles.grant("subscriber", { type: "read", range: prefix("/svc/") });
   * ```
   *
   * @throws RequestRefusedError when there is no such role
   */
  async grant(name: string, permission: PermissionToGrant, options?: CallOptions): Promise<void> {
    checkName("auth.roles.grant", "name", name);
    const { type, range } = checkPermission(permission);
    checkOf.grant(options);
    await this.#calls.run("auth.roles.grant", quoted(name), options, (admin) =>
      admin.roleGrantPermission(name, { type, range }, options),
    );
  }

  /**
   * Takes the permission for just this range from a role.
   *
   * @throws RequestRefusedError when there is no such role, or it has no permission for this very range
   */
  async revoke(name: string, range: KeyOrRange, options?: CallOptions): Promise<void> {
    checkName("auth.roles.revoke", "name", name);
    const revoked = toKeyRange("auth.roles.revoke", range, "range");
    checkOf.revoke(options);
    await this.#calls.run("auth.roles.revoke", quoted(name), options, (admin) =>
      admin.roleRevokePermission(name, revoked, options),
    );
  }
}

function checkPermission(permission: PermissionToGrant): { readonly type: PermissionType; readonly range: KeyRange } {
  const what = "auth.roles.grant";
  const allowed = 'an object such as { type: "read", range: prefix("/svc/") }';
  checkPlainObject(what, "permission", permission, allowed);
  for (const name in permission)
    if (!names.includes(name)) throw unknownOption(what, `permission.${name}`, name, names);
  const { type, range } = permission as PermissionToGrant;
  if (!types.includes(type)) {
    throw new InvalidOptionError(what, "permission.type", `must be one of ${types.join(", ")}, not ${shown(type)}`);
  }
  return { type, range: toKeyRange(what, range, "permission.range") };
}
