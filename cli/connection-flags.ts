import { EtcdClient, type EtcdClientOptions } from "../recipes/index.ts";
import type { CommandOption, OptionValues } from "./command.ts";
import { parseDuration } from "./duration.ts";
import { UsageError } from "./exit-codes.ts";

/**
 * How etcd is reached: named as etcdctl's flags. What is left out is read from the environment, as the library does.
 */
export const connectionFlags = {
  endpoints: { type: "string", value: "LIST", help: "host:port or URLs, with commas between [ETCD_ENDPOINTS]" },
  cacert: { type: "string", value: "FILE", help: "the certificates that servers' are issued by [ETCD_CACERT]" },
  cert: { type: "string", value: "FILE", help: "this client's certificate [ETCD_CERT]" },
  key: { type: "string", value: "FILE", help: "its key [ETCD_KEY]" },
  user: { type: "string", value: "NAME[:PASSWORD]", help: "who this is [ETCD_USERNAME, ETCD_PASSWORD]" },
  password: { type: "string", value: "TEXT", help: "better in ETCD_PASSWORD: others can read arguments" },
  "command-timeout": { type: "string", value: "TIME", help: "how long a request may take, 5s by default" },
} as const satisfies Record<string, CommandOption>;

/**
 * @param warnUnreachable whether the process is warned when etcd is not reached
 * @throws UsageError, InvalidOptionError
 */
export function connect(given: OptionValues, warnUnreachable: boolean): EtcdClient {
  const text = (name: keyof typeof connectionFlags) => given[name] as string | undefined;
  const options: EtcdClientOptions = { requestTimeoutMs: timeoutOf(given), warnUnreachable };
  const endpoints = text("endpoints");
  if (endpoints !== undefined) options.endpoints = endpoints;
  const [caFile, certFile, keyFile] = [text("cacert"), text("cert"), text("key")];
  if (caFile ?? certFile ?? keyFile) options.tls = { caFile, certFile, keyFile };
  const auth = userOf(text("user"), text("password"));
  if (auth) options.auth = auth;
  return new EtcdClient(options);
}

/** @throws UsageError */
export function timeoutOf(given: OptionValues): number {
  return parseDuration("--command-timeout", (given["command-timeout"] as string | undefined) ?? "5s");
}

function userOf(user: string | undefined, password: string | undefined): EtcdClientOptions["auth"] {
  if (user === undefined) {
    if (password !== undefined) throw new UsageError("--password needs --user");
    return undefined;
  }
  const colon = user.indexOf(":");
  const username = colon < 0 ? user : user.slice(0, colon);
  const secret = colon < 0 ? (password ?? process.env.ETCD_PASSWORD) : user.slice(colon + 1);
  if (secret === undefined) throw new UsageError("--user needs a password: NAME:PASSWORD, --password or ETCD_PASSWORD");
  if (username === "") throw new UsageError("--user names no user: NAME:PASSWORD or NAME");
  if (secret === "") throw new UsageError("--user has an empty password, which etcd takes from no user");
  return { username, password: secret };
}
