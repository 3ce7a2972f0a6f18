import type { AuthStatus } from "../connection/index.ts";
import { showAs } from "../internal/show-as.ts";
import type { CallOptions } from "../model/call-options.ts";
import { callOptionsOf } from "../model/call-options.ts";
import { AdminCalls, type AdminParts } from "./admin-calls.ts";
import { Roles } from "./roles.ts";
import { Users } from "./users.ts";

const checkOf = {
  enable: callOptionsOf("auth.enable"),
  disable: callOptionsOf("auth.disable"),
  status: callOptionsOf("auth.status"),
};

/**
 * Users, roles and whether etcd asks for them. A user does what its roles permit, and root everything. While
 * authentication is on, only users with the role `root` may call any of this but `status()`, and users may ask for
 * themselves.
 *
 * What changes something and fails with `outcomeUnknown: true`, or is aborted, may have been done, or be done later.
 */
export class Auth {
  static {
    showAs(Auth, "Auth", (it) => ({ endpoints: it.#calls.endpoints }));
  }

  readonly users: Users;
  readonly roles: Roles;
  readonly #calls: AdminCalls;

  /** @internal */
  constructor(parts: AdminParts) {
    this.#calls = new AdminCalls(parts);
    this.users = new Users(this.#calls);
    this.roles = new Roles(this.#calls);
  }

  /**
   * Turns authentication on; nothing happens when it is on already. From then on a client without `auth` is refused. It
   * is repeated on other endpoints within its time.
   *
   * @throws RequestRefusedError unless there is a user `root` with the role `root`
   */
  async enable(options?: CallOptions): Promise<void> {
    checkOf.enable(options);
    await this.#calls.run("auth.enable", undefined, options, (admin) => admin.authEnable(options));
  }

  /** Turns authentication off: every call is served, users and roles stay. Repeated as `enable()` is. */
  async disable(options?: CallOptions): Promise<void> {
    checkOf.disable(options);
    await this.#calls.run("auth.disable", undefined, options, (admin) => admin.authDisable(options));
  }

  /**
   * Whether authentication is on, and the revision of users and roles, which grows with each change of them.
   *
   * @throws RequestRefusedError by an etcd before 3.5, which does not say; PermissionDeniedError, before 3.7, to all
   *   but root
   */
  async status(options?: CallOptions): Promise<AuthStatus> {
    checkOf.status(options);
    return this.#calls.run("auth.status", undefined, options, (admin) => admin.authStatus(options));
  }
}
