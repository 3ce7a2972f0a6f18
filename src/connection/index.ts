export { type EndpointUrl, parseEndpoints } from "./endpoint-url.ts";
export { translateWatchCancel } from "./error-translation.ts";
export type {
  LeaseKeepAliveResponse,
  LeaseTimeToLiveResponse,
  MemberStatus,
  WatchCreateRequest,
  WatchResponse,
} from "./messages.ts";
export { type KeepAliveStream, Protocol, type StreamEndpoint, type WatchStream } from "./protocol.ts";
export type { StreamHandlers } from "./protocol-stream.ts";
