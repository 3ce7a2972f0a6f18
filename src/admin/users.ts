import { quoted } from "../errors/shown.ts";
import { showAs } from "../internal/show-as.ts";
import { type CallOptions, callOptionsOf } from "../model/call-options.ts";
import type { AdminCalls } from "./admin-calls.ts";
import { checkName, checkPassword } from "./admin-checks.ts";

/** A user and the roles that it was granted. */
export interface AuthUser {
  readonly name: string;
  readonly roles: readonly string[];
}

const checkOf = {
  add: callOptionsOf("auth.users.add"),
  get: callOptionsOf("auth.users.get"),
  list: callOptionsOf("auth.users.list"),
  delete: callOptionsOf("auth.users.delete"),
  changePassword: callOptionsOf("auth.users.changePassword"),
  grantRole: callOptionsOf("auth.users.grantRole"),
  revokeRole: callOptionsOf("auth.users.revokeRole"),
};

/** The users of etcd: see `Auth`. */
export class Users {
  static {
    showAs(Users, "Users", (it) => ({ endpoints: it.#calls.endpoints }));
  }

  readonly #calls: AdminCalls;

  /** @internal */
  constructor(calls: AdminCalls) {
    this.#calls = calls;
  }

  /**
   * Adds a user that may do nothing until it is granted a role.
   *
   * @param password null for one that has none and can log in by the common name of its certificate only
   * @throws ConflictError when there is such a user
   */
  async add(name: string, password: string | null, options?: CallOptions): Promise<void> {
    checkName("auth.users.add", "name", name);
    if (password !== null) checkPassword("auth.users.add", password);
    checkOf.add(options);
    await this.#calls.run("auth.users.add", quoted(name), options, (admin) =>
      admin.userAdd(name, password ?? undefined, options),
    );
  }

  /**
   * A user and its roles. Every user may ask for itself.
   *
   * @throws RequestRefusedError when there is no such user
   */
  async get(name: string, options?: CallOptions): Promise<AuthUser> {
    checkName("auth.users.get", "name", name);
    checkOf.get(options);
    const roles = await this.#calls.run("auth.users.get", quoted(name), options, (admin) =>
      admin.userGet(name, options),
    );
    return { name, roles };
  }

  /** The names of all users. */
  async list(options?: CallOptions): Promise<readonly string[]> {
    checkOf.list(options);
    return this.#calls.run("auth.users.list", undefined, options, (admin) => admin.userList(options));
  }

  /**
   * Deletes a user. Etcd refuses its tokens from then on, and root is deleted only while authentication is off.
   *
   * @throws RequestRefusedError when there is no such user
   */
  async delete(name: string, options?: CallOptions): Promise<void> {
    checkName("auth.users.delete", "name", name);
    checkOf.delete(options);
    await this.#calls.run("auth.users.delete", quoted(name), options, (admin) => admin.userDelete(name, options));
  }

  /**
   * Gives a user another password. Etcd refuses its tokens from then on. It is repeated on other endpoints within its
   * time.
   *
   * @throws RequestRefusedError when there is no such user
   */
  async changePassword(name: string, password: string, options?: CallOptions): Promise<void> {
    checkName("auth.users.changePassword", "name", name);
    checkPassword("auth.users.changePassword", password);
    checkOf.changePassword(options);
    await this.#calls.run("auth.users.changePassword", quoted(name), options, (admin) =>
      admin.userChangePassword(name, password, options),
    );
  }

  /**
   * Grants a user a role; nothing happens when it has it already. It is repeated on other endpoints within its time.
   *
   * @throws RequestRefusedError when there is no such user or role
   */
  async grantRole(name: string, role: string, options?: CallOptions): Promise<void> {
    checkName("auth.users.grantRole", "name", name);
    checkName("auth.users.grantRole", "role", role);
    checkOf.grantRole(options);
    await this.#calls.run("auth.users.grantRole", `${quoted(name)} ${quoted(role)}`, options, (admin) =>
      admin.userGrantRole(name, role, options),
    );
  }

  /**
   * Takes a role from a user.
   *
   * @throws RequestRefusedError when there is no such user, or it does not have the role
   */
  async revokeRole(name: string, role: string, options?: CallOptions): Promise<void> {
    checkName("auth.users.revokeRole", "name", name);
    checkName("auth.users.revokeRole", "role", role);
    checkOf.revokeRole(options);
    await this.#calls.run("auth.users.revokeRole", `${quoted(name)} ${quoted(role)}`, options, (admin) =>
      admin.userRevokeRole(name, role, options),
    );
  }
}
