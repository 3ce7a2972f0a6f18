import * as z from "zod/mini";
import { type AuthOptions, resolveAuth } from "./auth-options.ts";
import {
  type EndpointSource,
  type EndpointUrl,
  parseEndpointSource,
  parseEndpoints,
  type TlsSource,
} from "./connection/index.ts";
import { InvalidOptionError } from "./errors/invalid-option-error.ts";
import { LONGEST_DELAY_MS } from "./errors/limits.ts";
import { isPlainObject } from "./errors/plain-object.ts";
import { shown } from "./errors/shown.ts";
import { once } from "./internal/once.ts";
import { parseOptions } from "./internal/parse-options.ts";
import { checkedBytes } from "./model/bytes.ts";
import { resolveTls, type TlsOptions } from "./tls-options.ts";

/** Options of an EtcdClient. All may be left out. */
export interface EtcdClientOptions {
  /**
   * The members of the cluster: `http://host:port` or `https://host:port`, not mixed; the port is 2379 when left out,
   * and `host:port` is `http://host:port`. A unix socket is `unix:///path`, or `unixs:///path` with TLS. One may also
   * stand for several members: a name with several addresses, a Service, a TCP balancer.
   *
   * `etcd+srv://example.com`, alone, has DNS name the members: those of the SRV records `_etcd-client-ssl._tcp`, by
   * https. Only where DNS says that there are none, and no `tls` is given, those of `_etcd-client._tcp`, by http. It is
   * asked at first use, and again about once a minute while the client is in use, or after 5 s when a member cannot be
   * reached; what it said last holds until then. DNS is trusted to name the members, unless `tls.serverName` says whose
   * certificates they must have.
   *
   * @default the environment's ETCD_ENDPOINTS, separated by commas, then http://127.0.0.1:2379
   */
  endpoints?: string | readonly string[] | undefined;
  /**
   * Make the members of the cluster the endpoints, from the first connection on and then about once a minute, as
   * `syncEndpoints()` does. For etcd that is reached directly: the URLs that members name must be reachable from here,
   * which those behind a balancer or a proxy are often not.
   *
   * @default false
   */
  followMembers?: boolean | undefined;
  /**
   * Warn the process (`process.emitWarning`, code `ETCD_UNREACHABLE`) once for each outage: when no endpoint could be
   * reached for 5 s while something waited for one. The warning says why, for each endpoint.
   *
   * @default true
   */
  warnUnreachable?: boolean | undefined;
  /** For `https://` endpoints. @default what ETCD_CACERT, ETCD_CERT and ETCD_KEY name, then the CAs that Node trusts */
  tls?: TlsOptions | undefined;
  /** @default ETCD_USERNAME and ETCD_PASSWORD, then none */
  auth?: AuthOptions | undefined;
  /** Put before every key and taken off again: the client sees nothing outside of it. @default none */
  namespace?: string | undefined;
  /** How long one endpoint may take to connect, in milliseconds, at least 1. @default 2000 */
  dialTimeoutMs?: number | undefined;
  /** How long a call may take in all, every attempt included, in milliseconds, at least 1. @default 5000 */
  requestTimeoutMs?: number | undefined;
  /**
   * Let puts and deletes of single keys that are made at the same time travel as one txn: many times faster, but they
   * are written at one revision. Each call can say otherwise with `batch`. Reads of single keys always travel together.
   *
   * @default false
   */
  autoBatch?: boolean | undefined;
}

export interface ResolvedClientOptions {
  readonly endpoints: EndpointSource;
  readonly tls: TlsSource | undefined;
  readonly auth: AuthOptions | undefined;
  readonly namespace: Uint8Array;
  readonly dialTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly autoBatch: boolean;
  readonly followMembers: boolean;
  readonly warnUnreachable: boolean;
}

const milliseconds = (fallback: number) =>
  z._default(
    z
      .number("must be a number of milliseconds")
      .check(z.minimum(1, "must be at least 1 ms"), z.maximum(LONGEST_DELAY_MS, "must be below 2^31 ms")),
    fallback,
  );

/** Not minLength(1): zod compares the "length" of what is no string as well, and an object's can be one that throws. */
const text = (problem: string) => z.string(problem).check(z.refine((given) => given !== "", "must not be empty"));

const pem = () =>
  z.optional(
    z
      .union([z.string(), z.instanceof(Uint8Array)], "must be PEM text or bytes, or be left out")
      .check(z.refine(({ length }) => length > 0, "must not be empty")),
  );
const file = () => z.optional(text("must be the path of a file"));

/** zod takes any object for one without the names that it knows. */
const plain = (problem: string) => z.custom<Record<string, unknown>>(isPlainObject, { error: problem, abort: true });
const tlsProblem = "must be an object such as { caFile, certFile, keyFile }";
const authProblem = "must be an object { username, password }";

const tlsSchema = () =>
  z.optional(
    z.pipe(
      plain(tlsProblem),
      z.strictObject({
        ca: pem(),
        caFile: file(),
        cert: pem(),
        certFile: file(),
        key: pem(),
        keyFile: file(),
        serverName: z.optional(text("must be a name")),
      }),
    ),
  );

const authSchema = () =>
  z.optional(
    z.pipe(
      plain(authProblem),
      z.strictObject({
        username: text("must be a string"),
        password: text("must be a string"),
      }),
    ),
  );

const urlProblem = "must be a URL such as http://127.0.0.1:2379";

const schema = once(() =>
  z.strictObject({
    endpoints: z.optional(z.union([z.string(), z.array(z.string(urlProblem))], `${urlProblem}, or a list of such`)),
    tls: tlsSchema(),
    auth: authSchema(),
    namespace: z._default(z.string("must be a string"), ""),
    dialTimeoutMs: milliseconds(2_000),
    requestTimeoutMs: milliseconds(5_000),
    autoBatch: z._default(z.boolean("must be true or false"), false),
    followMembers: z._default(z.boolean("must be true or false"), false),
    warnUnreachable: z._default(z.boolean("must be true or false"), true),
  }),
);

/**
 * Validates the options and fills in defaults. No I/O.
 *
 * @throws InvalidOptionError that names the first bad option
 */
export function resolveClientOptions(
  options: EtcdClientOptions,
  env: NodeJS.ProcessEnv = process.env,
): ResolvedClientOptions {
  const {
    endpoints: listed,
    tls,
    auth,
    namespace,
    ...rest
  } = parseOptions("EtcdClient", schema, options, ["tls", "auth"]);
  const endpoints = readEndpoints(listed, env);
  return {
    ...rest,
    namespace: checkedBytes("EtcdClient", "namespace", namespace),
    endpoints,
    tls: resolveTls(tls, env, schemeOf(endpoints)),
    auth: resolveAuth(auth, env),
  };
}

/** What is known of it before DNS has named the members. */
function schemeOf(endpoints: EndpointSource): "http" | "https" | "open" {
  if ("domain" in endpoints) return "open";
  return endpoints.some(({ secure }) => secure) ? "https" : "http";
}

function readEndpoints(given: string | string[] | undefined, env: NodeJS.ProcessEnv): EndpointSource {
  if (given !== undefined) {
    return parseEndpointSource("EtcdClient", withScheme(typeof given === "string" ? splitList(given) : given));
  }
  const listed = splitList(env.ETCD_ENDPOINTS ?? "");
  const endpoints = listed.length === 0 ? ["http://127.0.0.1:2379"] : withScheme(listed);
  return parseEndpointSource("EtcdClient", endpoints, "ETCD_ENDPOINTS");
}

/**
 * Endpoints as `setEndpoints()` takes them.
 *
 * @throws InvalidOptionError
 */
export function toEndpoints(what: string, given: unknown): EndpointUrl[] {
  const listed = typeof given === "string" ? splitList(given) : given;
  if (!Array.isArray(listed)) {
    throw new InvalidOptionError(what, "endpoints", `${urlProblem}, or a list of such, not ${shown(given)}`);
  }
  const wrong = listed.findIndex((endpoint) => typeof endpoint !== "string");
  if (wrong >= 0) {
    throw new InvalidOptionError(what, `endpoints.${wrong}`, `${urlProblem}, not ${shown(listed[wrong])}`);
  }
  return parseEndpoints(what, withScheme(listed));
}

/** As etcdctl takes them: `host:port` is plain. */
function withScheme(endpoints: readonly string[]): string[] {
  return endpoints.map((endpoint) => (endpoint.includes("://") ? endpoint : `http://${endpoint}`));
}

function splitList(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}
