import { isIPv6 } from "node:net";
import type { ConnectOptions, Target } from "./connect-options.ts";
import { Dial } from "./dial.ts";
import type { GrpcConnection } from "./grpc-connection.ts";

/**
 * Connects; resolves once the server has sent its SETTINGS.
 *
 * @throws ConnectionError which says in words why there is no connection
 */
export function connect(target: Target, options: ConnectOptions = {}): Promise<GrpcConnection> {
  return new Promise((resolve, reject) => {
    new Dial(target, options, options.authority ?? authorityOf(target), resolve, reject);
  });
}

function authorityOf(target: Target): string {
  if ("path" in target) return "localhost";
  return `${isIPv6(target.host) ? `[${target.host}]` : target.host}:${target.port}`;
}
