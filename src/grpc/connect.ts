import type { ConnectOptions, Target } from "./connect-options.ts";
import { ConnectionError } from "./connection-error.ts";
import type { GrpcConnection } from "./grpc-connection.ts";

/**
 * Connects; resolves once the server has sent its SETTINGS.
 *
 * @throws ConnectionError which says in words why there is no connection
 */
export function connect(_target: Target, _options: ConnectOptions = {}): Promise<GrpcConnection> {
  return Promise.reject(new ConnectionError("refused", "not implemented yet"));
}
