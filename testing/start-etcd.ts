import { type AuthSetup, resolveAuth } from "./auth-options.ts";
import { checkObject } from "./check-object.ts";
import { EtcdCluster } from "./etcd-cluster.ts";
import { EtcdStartError } from "./etcd-start-error.ts";
import { findEtcd, namedEtcd } from "./find-etcd.ts";
import { resolveTls, type TlsSetup } from "./tls-options.ts";

/** Options of {@link startEtcd}. */
export interface StartEtcdOptions {
  /**
   * How many members, 1 to 9.
   *
   * @default 1
   */
  readonly members?: number;
  /**
   * The path of the etcd binary.
   *
   * @default what `findEtcd()` finds
   */
  readonly binary?: string;
  /** Flags for every member, such as "--quota-backend-bytes=16777216". Of one given twice, etcd takes this one. */
  readonly flags?: readonly string[];
  /**
   * Variables added to the environment of the etcd processes; those inherited lack every `ETCD_*` (but
   * `ETCD_UNSUPPORTED_ARCH`) and `*_PROXY`.
   */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * How long a member may take to serve, here and when it is started again, in milliseconds, above 0.
   *
   * @default 30000
   */
  readonly startTimeoutMs?: number;
  /**
   * Clients reach the members by TLS only; true is mutual TLS, `{}`. The certificates are made with `openssl` from
   * `PATH` and are in `cluster.tls`. Peers talk to each other without TLS.
   *
   * @default false
   */
  readonly tls?: boolean | TlsSetup;
  /**
   * Authentication is on, with the user "root" and those that are named; true is `{}`. `cluster.auth` has root's
   * password and changes users and roles.
   *
   * @default false
   */
  readonly auth?: boolean | AuthSetup;
}

const mostMembers = 9;
const attempts = 5;

/**
 * Starts a cluster of real etcd processes with an empty store and resolves when every member serves.
 *
 * ```ts
 * await using cluster = await startEtcd({ members: 3 });
 * ```
 *
 * They listen on ports of 127.0.0.1 and keep their data in a temporary folder. They are in a process group of their
 * own, so Ctrl-C does not reach them; when this process dies, by whatever signal, they are killed and the folder is
 * removed. They do not keep this process from ending.
 *
 * @throws EtcdNotFoundError when there is no etcd binary
 * @throws EtcdStartError with the end of the member's log; also when the system refuses such a process, as for an
 *   environment
 * that is too large
 * @throws OpensslNotFoundError when `tls` is asked for and there is no openssl
 * @throws TypeError for a NUL in a text, which no process can be given
 * @throws RangeError for an unknown option, a number of members that is not 1 to 9, a `startTimeoutMs` of 0
 *   or less, and for options of `tls` and `auth` that cannot be
 * @throws TypeError for options, or one of them or of `tls` or `auth`, of the wrong type
 */
export async function startEtcd(options: StartEtcdOptions = {}): Promise<EtcdCluster> {
  checkObject("options", options);
  const {
    members = 1,
    binary: path,
    flags = [],
    env = {},
    startTimeoutMs = 30_000,
    tls: tlsSetup,
    auth: authSetup,
    ...rest
  } = options;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new RangeError(`startEtcd has no option ${unknown}`);
  if (!Array.isArray(flags) || !flags.every(isText)) throw new TypeError("flags must be an array of strings");
  checkObject("env", env);
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !isText(value)) throw new TypeError(`env.${name} must be a string`);
  }
  if (path !== undefined && !isText(path)) throw new TypeError("binary must be a path");
  checkNoNul("flags", flags);
  checkNoNul("env", Object.entries(env).flat());
  if (path !== undefined) checkNoNul("binary", [path]);
  if (!Number.isInteger(members) || members < 1 || members > mostMembers) {
    throw new RangeError(`members must be a whole number from 1 to ${mostMembers}, got ${members}`);
  }
  if (typeof startTimeoutMs !== "number") throw new TypeError("startTimeoutMs must be a number");
  if (!(startTimeoutMs > 0)) throw new RangeError(`startTimeoutMs must be above 0, got ${startTimeoutMs}`);
  if (process.platform === "win32") {
    throw new EtcdStartError("startEtcd() needs Linux or macOS: it pauses and kills members by signals", "");
  }
  const tls = resolveTls(tlsSetup, members);
  const auth = resolveAuth(authSetup);
  const binary = path === undefined ? await findEtcd() : await namedEtcd(path, "the option binary");
  for (let attempt = 1; ; attempt++) {
    try {
      return await EtcdCluster.start({ binary, members, flags, env, startTimeoutMs, tls, auth });
    } catch (error) {
      // Between the search for a free port and etcd's own bind, another process may take it.
      const portTaken = error instanceof EtcdStartError && error.logTail.includes("address already in use");
      if (!portTaken || attempt === attempts) throw error;
    }
  }
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

/** No process can be given one; it would be reported late, and as the keeper's own problem. */
function checkNoNul(option: string, texts: Iterable<string>): void {
  for (const text of texts) {
    if (typeof text === "string" && text.includes("\0")) throw new TypeError(`${option} must not have a NUL in it`);
  }
}
