import { type AuthPermission, wirePermission } from "./auth-permission.ts";
import { checkObject } from "./check-object.ts";

/** A user that a cluster begins with. */
export interface AuthUserSetup {
  readonly password: string;
  /** What it may do, through a role that is named like it. @default nothing */
  readonly permissions?: readonly AuthPermission[];
}

/**
 * How a cluster has authentication. Passwords are hashed at the least cost, which is for tests only;
 * `flags: ["--bcrypt-cost=10"]` is what etcd does by itself.
 */
export interface AuthSetup {
  /**
   * "simple": random tokens in the memory of the members; a member that restarts knows none, and each use makes them
   * last longer. "jwt": signed tokens (RS256) that carry their end and the revision of the users and roles.
   *
   * @default "simple"
   */
  readonly token?: "simple" | "jwt";
  /** How long a token is good for, in seconds; simple ones: unused. A whole number from 1. @default 300, as etcd's */
  readonly tokenTtlSeconds?: number;
  /** The password of "root", who may do everything. @default a random one */
  readonly rootPassword?: string;
  /** Users besides root, by their names. */
  readonly users?: Readonly<Record<string, AuthUserSetup>>;
}

/** @internal The setup with every default filled in. */
export interface ResolvedAuth {
  readonly token: "simple" | "jwt";
  readonly tokenTtlSeconds: number;
  readonly rootPassword: string | undefined;
  readonly users: Readonly<Record<string, AuthUserSetup>>;
}

/** @throws TypeError when a value has the wrong type; RangeError for a token, a time or a user that cannot be */
export function resolveAuth(auth: boolean | AuthSetup | undefined): ResolvedAuth | undefined {
  if (auth === undefined || auth === false) return undefined;
  if (auth !== true) checkObject("auth", auth, "true, false or an object");
  const { token = "simple", tokenTtlSeconds = 300, rootPassword, users = {}, ...rest } = auth === true ? {} : auth;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new RangeError(`auth has no option ${unknown}`);
  if (token !== "simple" && token !== "jwt") throw new RangeError('auth.token must be "simple" or "jwt"');
  if (!Number.isInteger(tokenTtlSeconds) || tokenTtlSeconds < 1) {
    throw new RangeError(`auth.tokenTtlSeconds must be a whole number from 1, got ${tokenTtlSeconds}`);
  }
  if (rootPassword !== undefined) checkPassword(rootPassword, "auth.rootPassword");
  checkObject("auth.users", users);
  for (const [name, user] of Object.entries(users)) {
    if (name === "" || name === "root") throw new RangeError(`auth.users cannot have a user ${JSON.stringify(name)}`);
    checkPassword(user?.password, `the password of ${name}`);
    const other = Object.keys(user).find((option) => option !== "password" && option !== "permissions");
    if (other !== undefined) throw new RangeError(`auth.users.${name} has no option ${other}`);
    for (const permission of user.permissions ?? []) wirePermission(permission);
  }
  return { token, tokenTtlSeconds, rootPassword, users };
}

function checkPassword(password: unknown, what: string): void {
  if (typeof password !== "string" || password === "") throw new TypeError(`${what} must be a string and not empty`);
}
