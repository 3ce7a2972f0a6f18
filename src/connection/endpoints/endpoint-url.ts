import { InvalidOptionError } from "../../errors/invalid-option-error.ts";
import { shownUrl } from "../../errors/shown.ts";
import type { Target } from "../../grpc/index.ts";

export interface EndpointUrl {
  /** As the user wrote it: what logs and errors show. */
  readonly url: string;
  readonly secure: boolean;
  /** What is dialled. */
  readonly target: Target;
}

/**
 * Reads `http://host:port` or `https://host:port`; the port may be left out and is 2379 then. `unix:///path` is a unix
 * socket, and `unixs:///path` one with TLS.
 *
 * @throws InvalidOptionError for anything else, without showing credentials that a URL may carry
 */
export function parseEndpoint(endpoint: string, refuse: (problem: string) => InvalidOptionError): EndpointUrl {
  const socket = /^(unixs?):\/\/(\/.+)$/.exec(endpoint);
  if (socket) return { url: endpoint, secure: socket[1] === "unixs", target: { path: socket[2] as string } };
  checkNothingBehind(endpoint, refuse);
  if (!/^https?:\/\//.test(endpoint)) {
    throw refuse(`has ${shownUrl(endpoint)}; write it as http://host:2379 or https://host:2379`);
  }
  let url: URL;
  try {
    url = new URL(endpoint);
  } catch {
    throw refuse(`has ${shownUrl(endpoint)}, which is not a URL`);
  }
  if (url.username !== "" || url.password !== "") {
    throw refuse("must not carry a user or a password");
  }
  if (url.pathname !== "/" && url.pathname !== "") {
    throw refuse(`has ${shownUrl(endpoint)}; an endpoint is a scheme, a host and a port and nothing more`);
  }
  if (url.hostname === "") throw refuse(`has ${shownUrl(endpoint)}, which names no host`);
  const secure = url.protocol === "https:";
  // URL drops a port that is its scheme's own, 80 or 443, so look at the text.
  const writtenPort = /:(\d+)\/?$/.exec(endpoint)?.[1];
  const port = url.port !== "" ? url.port : (writtenPort ?? "2379");
  return {
    url: `${url.protocol}//${url.hostname}:${port}`,
    secure,
    target: { host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(port) },
  };
}

/** The scheme of a domain whose members DNS names. */
const SRV_SCHEME = "etcd+srv://";

/** A domain whose SRV records name the members. */
export interface SrvDomain {
  /** As the user wrote it. */
  readonly url: string;
  readonly domain: string;
}

/** The endpoints to begin with, or where to learn them. */
export type EndpointSource = readonly EndpointUrl[] | SrvDomain;

/**
 * Reads what a client may be made with: endpoints, or one `etcd+srv://example.com`.
 *
 * @param source where they come from, if not from the option itself
 * @throws InvalidOptionError as `parseEndpoints()` does; for a domain among other endpoints, or with more than a name
 */
export function parseEndpointSource(what: string, endpoints: readonly string[], source?: string): EndpointSource {
  const srv = endpoints.find((endpoint) => endpoint.startsWith(SRV_SCHEME));
  if (srv === undefined) return parseEndpoints(what, endpoints, source);
  const refuse = refusing(what, source);
  if (endpoints.length > 1) throw refuse(`must name nothing beside ${shownUrl(srv)}`);
  checkNothingBehind(srv, refuse);
  const domain = srv.slice(SRV_SCHEME.length).replace(/[./]$/, "");
  if (domain.length > 200 || !/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(domain)) {
    throw refuse(`has ${shownUrl(srv)}; write it as ${SRV_SCHEME}example.com: a domain and nothing more`);
  }
  return { url: SRV_SCHEME + domain, domain };
}

/**
 * @param source where the endpoints come from, if not from the option itself
 * @throws InvalidOptionError for an empty list, a malformed endpoint, or http and https mixed
 */
export function parseEndpoints(what: string, endpoints: readonly string[], source?: string): EndpointUrl[] {
  const refuse = refusing(what, source);
  if (endpoints.length === 0) throw refuse("must name at least one endpoint");
  const srv = endpoints.find((endpoint) => endpoint.startsWith(SRV_SCHEME));
  if (srv !== undefined) throw refuse(`has ${shownUrl(srv)}, which only a new client can take`);
  const parsed = endpoints.map((endpoint) => parseEndpoint(endpoint, refuse));
  if (parsed.some(({ secure }) => secure !== parsed[0]?.secure)) {
    throw refuse("must not mix http and https: one plain connection would give away what the others protect");
  }
  const unique = new Map(parsed.map((endpoint) => [endpoint.url, endpoint]));
  return [...unique.values()];
}

/** A query or a fragment may be a secret, and so may PEM text: each is refused without being shown. */
function checkNothingBehind(endpoint: string, refuse: (problem: string) => InvalidOptionError): void {
  if (endpoint.includes("-----BEGIN")) throw refuse("must be URLs such as http://127.0.0.1:2379, and not PEM text");
  if (!/[?#]/.test(endpoint)) return;
  throw refuse("must be a scheme, a host and a port, such as http://127.0.0.1:2379, without a query or a fragment");
}

function refusing(what: string, source: string | undefined): (problem: string) => InvalidOptionError {
  return (problem) =>
    new InvalidOptionError(what, "endpoints", source === undefined ? problem : `(from ${source}) ${problem}`);
}
