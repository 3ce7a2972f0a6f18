import { Connection } from "./connection.ts";
import { GrpcProtocol } from "./grpc-protocol.ts";
import type { Protocol, ProtocolOptions } from "./protocol.ts";

/** The only way in: no declaration that users can reach names what is behind it. */
export function openProtocol(options: ProtocolOptions): Protocol {
  return new GrpcProtocol(new Connection(options), options);
}
