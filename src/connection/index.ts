export { checkTlsSource } from "./check-tls-source.ts";
export { type EndpointUrl, parseEndpoints } from "./endpoint-url.ts";
export { translateWatchCancel } from "./error-translation.ts";
export type {
  LeaseKeepAliveResponse,
  LeaseTimeToLiveResponse,
  MemberStatus,
  RangeResponse,
  WatchCreateRequest,
  WatchResponse,
} from "./messages.ts";
export { openProtocol } from "./open-protocol.ts";
export type { KeepAliveStream, Protocol, StreamEndpoint, WatchStream } from "./protocol.ts";
export type { StreamHandlers } from "./stream-handlers.ts";
export { TlsError } from "./tls-error.ts";
export type { PemSource, TlsSource } from "./tls-source.ts";
