import { type AddressInfo, isIPv6 } from "node:net";
import { InvalidOptionError } from "../../src/index.ts";
import { shown } from "../../src/internal/index.ts";

/** What a server is registered with: as it is, a host that gets the port, or made of where the server listens. */
export type ReachableAddress = string | ((listening: AddressInfo) => string);

const LARGEST_PORT = 65_535;

/**
 * The address by which others reach a server: what a {@link ServiceRegister} takes. Asks nothing of the network.
 *
 * @param listening - what `address()` of a `node:http` or `node:net` server returns
 * @param given - `host:port`, a URL with a port or `unix:/path`, returned as it is; a host alone, which gets the port;
 *   or a function of `listening`, whose text is the address @default where the server listens
 * @param what - whose option `address` an error names @default "reachableAddress"
 * @returns `host:port`, `[IPv6]:port` or `unix:/path`, or what was given
 * @throws InvalidOptionError when the server does not listen, or listens on all interfaces and `given` does not say
 *   which address is meant, or listens on a socket and `given` needs a port; when `given` is empty, names a port that
 *   there is not, or is a function that returns no such text
 */
export function reachableAddress(
  listening: AddressInfo | string | null | undefined,
  given?: ReachableAddress | undefined,
  what = "reachableAddress",
): string {
  if (typeof what !== "string")
    throw new InvalidOptionError("reachableAddress", "what", `must be a string, not ${shown(what)}`);
  const refuse = (problem: string) => new InvalidOptionError(what, "address", problem);
  if (given !== undefined && typeof given !== "string" && typeof given !== "function") {
    throw refuse(`must be a string or a function, not ${shown(given)}`);
  }
  if (typeof given === "string" && given.trim() === "") {
    throw refuse("must not be empty: leave it out for where the server listens");
  }
  if (typeof given === "string" && !isIPv6(given) && /^(unix:|.*\w:\d+$|\[.*\]:\d+$)/.test(given)) {
    return withPort(given, refuse);
  }
  if (typeof listening === "string" && listening !== "") {
    if (given === undefined) return `unix:${listening}`;
    throw refuse(`must be host:port or unix:/path: the app listens on a socket (${listening}), which has no port`);
  }
  if (!listening) throw refuse("must have a port: the app does not listen on one");
  if (!isAddressInfo(listening)) {
    throw refuse(`must be made of what address() of a server returns, not of ${shown(listening)}`);
  }
  if (typeof given === "function") return made(given(listening), refuse);
  const { address, port } = listening;
  if (given === undefined && (address === "::" || address === "0.0.0.0")) {
    const problem = "must say by which address others reach the app: it listens on all interfaces";
    throw refuse(`${problem} (${address}, port ${port}); "10.0.0.5" gets the port`);
  }
  const host = given ?? address;
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

function made(address: unknown, refuse: (problem: string) => Error): string {
  if (typeof address !== "string") throw refuse(`must be a function that returns a string, not ${shown(address)}`);
  if (address.trim() === "") throw refuse("must be a function that returns an address: it returned none");
  return withPort(address, refuse);
}

/** What stands for a port must be one. An address that names none is left to its readers. */
function withPort(address: string, refuse: (problem: string) => Error): string {
  if (address.startsWith("unix:") || isIPv6(address)) return address;
  const [, port] = /^(?:[a-z][a-z\d+.-]*:\/\/)?[^/?#]*:(\d+)(?:[/?#]|$)/i.exec(address) ?? [];
  if (port === undefined || (Number(port) >= 1 && Number(port) <= LARGEST_PORT)) return address;
  throw refuse(`must have a port from 1 to ${LARGEST_PORT}, not ${port}`);
}

function isAddressInfo(listening: unknown): listening is AddressInfo {
  const { address, port } = listening as Partial<AddressInfo>;
  return typeof address === "string" && typeof port === "number";
}
