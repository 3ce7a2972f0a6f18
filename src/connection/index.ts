export type { AdminProtocol } from "./admin-protocol.ts";
export type {
  AlarmType,
  AuthStatus,
  ClusterAlarm,
  ClusterMember,
  KeyHash,
  LeaseKeepAliveResponse,
  LeaseTimeToLiveResponse,
  MemberStatus,
  PermissionType,
  RangePart,
  RangeResponse,
  RolePermission,
  SnapshotPart,
  WatchCreateRequest,
  WatchResponse,
} from "./codec/messages.ts";
export type { DescribedOptions } from "./described-options.ts";
export type { ConnectionNotices } from "./endpoints/connection-notices.ts";
export {
  type EndpointSource,
  type EndpointUrl,
  parseEndpointSource,
  parseEndpoints,
} from "./endpoints/endpoint-url.ts";
export type { SrvResolver } from "./endpoints/srv-lookup.ts";
export { cameTooSlowly } from "./errors/came-too-slowly.ts";
export { translateWatchCancel } from "./errors/error-translation.ts";
export { openProtocol } from "./open-protocol.ts";
export type { KeepAliveStream, Protocol, RangeStream, WatchHandlers, WatchStream } from "./protocol.ts";
export type { StreamEndpoint } from "./stream-endpoint.ts";
export type { StreamHandlers } from "./stream-handlers.ts";
export { checkTlsSource } from "./tls/check-tls-source.ts";
export { TlsError } from "./tls/tls-error.ts";
export type { PemSource, TlsSource } from "./tls/tls-source.ts";
