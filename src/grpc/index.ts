export { connect } from "./connect.ts";
export type { ConnectOptions, LivenessOptions, Target, TlsOptions } from "./connect-options.ts";
export { ConnectionError, type EndReason, endReasons } from "./connection-error.ts";
export type {
  CallOptions,
  ConnectionCounters,
  ConnectionStatus,
  GrpcCall,
  GrpcConnection,
  GrpcStream,
  OnAnswer,
  StreamHandlers,
  StreamOptions,
} from "./grpc-connection.ts";
export { GrpcFailure } from "./grpc-failure.ts";
export type { Metadata } from "./metadata.ts";
export { grpcStatus, statusName } from "./status.ts";
export { TlsSession } from "./tls-session.ts";
