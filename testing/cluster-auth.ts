import { randomBytes } from "node:crypto";
import type { ResolvedAuth } from "./auth-options.ts";
import { type AuthPermission, type PermittedKeys, wireKeys, wirePermission } from "./auth-permission.ts";
import { type ClientCertificate, type Credentials, GatewayAccess } from "./gateway-access.ts";

/** What {@link ClusterAuth} needs of its cluster. */
export interface AuthSurroundings {
  /** The endpoint of a member that can commit. */
  leader(): Promise<string>;
  /** The endpoints of the members that run and reach their peers. */
  joined(): readonly string[];
}

/**
 * The users and roles of a cluster with authentication. When a method resolves, its change is known to every member
 * that runs, is not isolated and answers within 3 s.
 *
 * Each rejects when etcd refuses the change (the message holds etcd's reason) or no member can commit it.
 */
export class ClusterAuth implements Credentials {
  readonly username = "root";
  /** @internal How the cluster itself calls its members: as root. */
  readonly access: GatewayAccess;
  // Without a token.
  readonly #open: GatewayAccess;
  readonly #setup: ResolvedAuth;
  readonly #surroundings: AuthSurroundings;
  #password: string;

  /** @internal Made by `startEtcd`. */
  constructor(setup: ResolvedAuth, certificate: ClientCertificate | undefined, surroundings: AuthSurroundings) {
    this.#setup = setup;
    this.#surroundings = surroundings;
    this.#password = setup.rootPassword ?? randomBytes(12).toString("hex");
    this.#open = new GatewayAccess(certificate);
    this.access = new GatewayAccess(certificate, () => ({ username: this.username, password: this.#password }));
  }

  /** Root's, as it is now. */
  get password(): string {
    return this.#password;
  }

  /** @internal Makes root and the users of the setup in an empty store and turns authentication on. */
  async establish(): Promise<void> {
    const leader = await this.#surroundings.leader();
    const call = (method: string, body: object) => this.#open.post(leader, `auth/${method}`, body);
    const users = Object.entries(this.#setup.users);
    for (const [name, { password, permissions = [] }] of [
      [this.username, { password: this.#password }],
      ...users,
    ] as const) {
      await call("user/add", { name, password });
      await call("role/add", { name });
      for (const permission of permissions) await call("role/grant", { name, perm: wirePermission(permission) });
      await call("user/grant", { user: name, role: name });
    }
    await call("enable", {});
    this.access.forget();
    await this.#untilAllApplied();
  }

  /** Turns authentication on again; it is on from the start. */
  async enable(): Promise<void> {
    await this.#change("enable", {});
    this.access.forget();
  }

  /** Turns authentication off: every call is served, users and roles stay. */
  async disable(): Promise<void> {
    await this.#change("disable", {});
    this.access.forget();
  }

  /**
   * A new token for a user, as it goes into the metadata `token` of a call.
   *
   * @param endpoint the member that is asked; by default the leader
   * @returns undefined when authentication is off
   */
  async token(user: Credentials = this, endpoint?: string): Promise<string | undefined> {
    return this.access.authenticate(endpoint ?? (await this.#surroundings.leader()), user);
  }

  /** Adds a user that may do nothing until it is given a role. */
  async addUser(name: string, password: string): Promise<void> {
    await this.#change("user/add", { name, password });
  }

  /** Removes a user; its tokens are refused from then on. */
  async removeUser(name: string): Promise<void> {
    await this.#change("user/delete", { name });
  }

  /** Changes a password, root's too. etcd refuses the tokens that the user had. */
  async changePassword(name: string, password: string): Promise<void> {
    await this.#change("user/changepw", { name, password });
    if (name !== this.username) return;
    this.#password = password;
    this.access.forget();
  }

  /** Adds a role with permissions, by default none. */
  async addRole(role: string, permissions: readonly AuthPermission[] = []): Promise<void> {
    await this.#change("role/add", { name: role });
    for (const permission of permissions) await this.grantPermission(role, permission);
  }

  /** Removes a role; its users lose what it permitted. */
  async removeRole(role: string): Promise<void> {
    await this.#change("role/delete", { role });
  }

  async grantRole(user: string, role: string): Promise<void> {
    await this.#change("user/grant", { user, role });
  }

  async revokeRole(user: string, role: string): Promise<void> {
    await this.#change("user/revoke", { name: user, role });
  }

  /** Adds a permission to a role; one for the very same keys is replaced. */
  async grantPermission(role: string, permission: AuthPermission): Promise<void> {
    await this.#change("role/grant", { name: role, perm: wirePermission(permission) });
  }

  /** Takes the permission for just these keys from a role. */
  async revokePermission(role: string, keys: PermittedKeys): Promise<void> {
    await this.#change("role/revoke", { role, ...wireKeys(keys) });
  }

  async #change(method: string, body: object): Promise<void> {
    await this.access.post(await this.#surroundings.leader(), `auth/${method}`, body);
    await this.#untilAllApplied();
  }

  // A linearizable read is answered, or refused, only after the member has applied all that was committed before.
  async #untilAllApplied(): Promise<void> {
    const read = (endpoint: string) => this.#open.post(endpoint, "kv/range", { key: "AA==", count_only: true });
    await Promise.all(this.#surroundings.joined().map((endpoint) => read(endpoint).catch(() => {})));
  }
}
