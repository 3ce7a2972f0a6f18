import { promises as dns } from "node:dns";
import { InvalidOptionError } from "../../errors/invalid-option-error.ts";
import { UnavailableError } from "../../errors/unavailable-error.ts";
import { type EndpointUrl, parseEndpoint } from "./endpoint-url.ts";

/** What is used of a `Resolver` of `node:dns/promises`. */
export interface SrvResolver {
  resolveSrv(name: string): Promise<readonly { readonly name: string; readonly port: number }[]>;
  /** Ends the questions under way. */
  cancel(): void;
}

/** One server of DNS that does not answer leaves time for the next. */
const ASK_LIMIT_MS = 1_000;

/** Node's own, with the servers that it has by then (`dns.setServers()`, else the system's). */
export function systemResolver(): SrvResolver {
  return new dns.Resolver({ timeout: ASK_LIMIT_MS, tries: 2 });
}

/** Where etcd's members are named, as etcd's own `--discovery-srv` asks. */
const secured = { service: "_etcd-client-ssl._tcp", scheme: "https" } as const;
const plain = { service: "_etcd-client._tcp", scheme: "http" } as const;

/** DNS says that there is no such name, or no such record. Whatever else it says leaves open what there is. */
const ABSENT = new Set<unknown>(["ENOTFOUND", "ENODATA"]);

/**
 * The members that DNS names for a domain: those of `_etcd-client-ssl._tcp`, with TLS; only where DNS says that there
 * are none those of `_etcd-client._tcp`, without. A question that is not answered must not make a client plain.
 *
 * Priorities and weights are left aside, as Go's clientv3 does: a client keeps to one member, and moves to any other.
 * Source: RFC 2782; etcd, "Clustering Guide", DNS discovery.
 *
 * @param onlySecured do not ask for plain ones
 * @throws UnavailableError that names what was asked for and what DNS said
 */
export async function lookUpSrv(domain: string, resolver: SrvResolver, onlySecured: boolean): Promise<EndpointUrl[]> {
  const found = await ask(domain, resolver, secured);
  if (found.length > 0) return found;
  if (onlySecured) {
    throw new UnavailableError(
      `DNS has no SRV record of ${secured.service}.${domain}, and without TLS no member is connected to`,
      { retryable: true },
    );
  }
  const unsecured = await ask(domain, resolver, plain);
  if (unsecured.length > 0) return unsecured;
  const names = [secured, plain].map(({ service }) => `${service}.${domain}`);
  throw new UnavailableError(`DNS has no SRV record of ${names.join(", nor of ")}`, { retryable: true });
}

async function ask(
  domain: string,
  resolver: SrvResolver,
  { service, scheme }: typeof secured | typeof plain,
): Promise<EndpointUrl[]> {
  const name = `${service}.${domain}`;
  const records = await resolver.resolveSrv(name).catch((cause: NodeJS.ErrnoException) => {
    if (ABSENT.has(cause.code)) return [];
    throw new UnavailableError(`DNS did not say what the SRV records of ${name} are (${cause.message})`, {
      cause,
      retryable: true,
    });
  });
  // A target of "." says that the service is not there (RFC 2782).
  const targets = records.filter((record) => record.name !== "" && record.name !== ".");
  const endpoints = targets.flatMap((target) => endpointOf(scheme, target) ?? []);
  if (endpoints.length === 0 && targets.length > 0) {
    throw new UnavailableError(`the SRV records of ${name} name no host that can be used`, { retryable: true });
  }
  return [...new Map(endpoints.map((endpoint) => [endpoint.url, endpoint])).values()];
}

/** One record that cannot be read hides none of the others. */
function endpointOf(scheme: string, { name, port }: { name: string; port: number }): EndpointUrl | undefined {
  try {
    const url = `${scheme}://${name.replace(/\.$/, "")}:${port}`;
    return parseEndpoint(url, (problem) => new InvalidOptionError("DNS", "SRV record", problem));
  } catch (error) {
    if (error instanceof InvalidOptionError) return undefined;
    throw error;
  }
}
