import type { AddressInfo } from "node:net";
import { InvalidOptionError } from "../../recipes/index.ts";

/** What an app is registered with: as it is, a host that gets the port, or made of where the app listens. */
export type AppAddress = string | ((listening: AddressInfo) => string);

/**
 * What others can reach an app by.
 *
 * @throws InvalidOptionError when it listens on all interfaces, and `given` does not say which address is meant
 */
export function appAddress(
  what: string,
  given: AppAddress | undefined,
  listening: AddressInfo | string | null | undefined,
): string {
  if (typeof given === "string" && /^(unix:|.*\w:\d+$|\[.*\]:\d+$)/.test(given)) return given;
  if (typeof listening === "string") return given === undefined ? `unix:${listening}` : String(given);
  if (!listening) throw new InvalidOptionError(what, "address", "must have a port: the app does not listen on one");
  if (typeof given === "function") return given(listening);
  const { address, family, port } = listening;
  if (given === undefined && (address === "::" || address === "0.0.0.0")) {
    const problem = "must say by which address others reach the app: it listens on all interfaces";
    throw new InvalidOptionError(what, "address", `${problem} (${address}, port ${port}); "10.0.0.5" gets the port`);
  }
  const host = given ?? address;
  const isIPv6 = given === undefined ? family === "IPv6" : host.includes(":") && !host.startsWith("[");
  return `${isIPv6 ? `[${host}]` : host}:${port}`;
}
