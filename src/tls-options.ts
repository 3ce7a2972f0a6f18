import { checkTlsSource, type PemSource, type TlsSource } from "./connection/index.ts";
import { InvalidOptionError } from "./errors/invalid-option-error.ts";

/**
 * How connections to `https://` endpoints are secured. Each part is PEM text or bytes, or the path of a file. Files are
 * read when a connection is made, so replaced ones are used without a restart; open connections stay as they are.
 */
export interface TlsOptions {
  /**
   * What the servers' certificates must be issued by.
   *
   * @default the environment's ETCD_CACERT (a file), then the CAs that Node trusts
   */
  ca?: string | Uint8Array | undefined;
  caFile?: string | undefined;
  /**
   * The client's own certificate, for mutual TLS; needs a key.
   *
   * @default the environment's ETCD_CERT (a file), then none
   */
  cert?: string | Uint8Array | undefined;
  certFile?: string | undefined;
  /** The key of the certificate, not encrypted. @default the environment's ETCD_KEY (a file), then none */
  key?: string | Uint8Array | undefined;
  keyFile?: string | undefined;
  /** The name that every server's certificate must have. @default the host of each endpoint's URL */
  serverName?: string | undefined;
}

const what = "EtcdClient";
const variables = { ca: "ETCD_CACERT", cert: "ETCD_CERT", key: "ETCD_KEY" } as const;
const partNames = ["ca", "cert", "key"] as const;

/**
 * @param scheme of the endpoints; `open` where DNS is to say it: what is given then asks for https
 * @returns undefined for plain endpoints, and where it is open and nothing is given. The environment's files are for
 *   https alone, as in etcdctl
 * @throws InvalidOptionError for parts that contradict each other or lack one another, and PEM that cannot be used
 */
export function resolveTls(
  options: TlsOptions | undefined,
  env: NodeJS.ProcessEnv,
  scheme: "http" | "https" | "open",
): TlsSource | undefined {
  if (scheme === "http") {
    if (options === undefined) return undefined;
    throw new InvalidOptionError(what, "tls", "needs https:// endpoints: http:// ones are not secured");
  }
  checkServerName(options?.serverName);
  const source: { -readonly [Name in keyof TlsSource]: TlsSource[Name] } = { serverName: options?.serverName };
  for (const part of partNames) source[part] = sourceOf(part, options, env);
  const [missing, given] = source.key ? (["cert", "key"] as const) : (["key", "cert"] as const);
  if (!source[missing] && source[given]) {
    throw new InvalidOptionError(
      what,
      `tls.${missing}`,
      `is missing: tls.${given} needs it${fromEnvironment(options, given)}`,
    );
  }
  if (scheme === "open" && options === undefined && partNames.every((part) => !source[part])) return undefined;
  checkTlsSource(what, source);
  return source;
}

function sourceOf(part: "ca" | "cert" | "key", options: TlsOptions | undefined, env: NodeJS.ProcessEnv) {
  const path = options?.[`${part}File`];
  const text = options?.[part];
  if (path !== undefined && text !== undefined) {
    throw new InvalidOptionError(what, `tls.${part}File`, `contradicts tls.${part}: give one of them`);
  }
  if (text !== undefined) return { pem: text } satisfies PemSource;
  // The environment's client certificate goes with the environment's key only.
  const own = part === "ca" ? false : hasOwnCertificate(options);
  const chosen = path ?? (own ? undefined : env[variables[part]] || undefined);
  if (chosen === undefined) return undefined;
  if (isContent.test(chosen)) {
    const from = path === undefined ? `(from ${variables[part]}) ` : "";
    const advice = `save that to a file, or, in code, give PEM text as tls.${part}`;
    throw new InvalidOptionError(
      what,
      `tls.${part}File`,
      `${from}must be the path of a file, not what is in it: ${advice}`,
    );
  }
  return { file: chosen } satisfies PemSource;
}

/**
 * PEM, also in base64, and DER in base64: of a sequence (0x30) and its length that comes to M and one of A to P. What
 * cannot be read is named in errors and logs, and this may be a key.
 */
const isContent = /-----BEGIN|[\r\n]|^LS0tLS1CRUdJTi|^M[A-P][A-Za-z0-9+/]{60,}={0,2}$/;

/** Errors name it, and what is given in its place by mistake may be a secret. */
function checkServerName(name: string | undefined): void {
  if (name === undefined || /^[^\s/]{1,253}$/.test(name)) return;
  throw new InvalidOptionError(what, "tls.serverName", "must be the name of a host, such as etcd.internal");
}

function hasOwnCertificate(options: TlsOptions | undefined): boolean {
  return Boolean(options && (options.cert ?? options.certFile ?? options.key ?? options.keyFile));
}

function fromEnvironment(options: TlsOptions | undefined, given: "cert" | "key"): string {
  return hasOwnCertificate(options) ? "" : ` (from ${variables[given]})`;
}
