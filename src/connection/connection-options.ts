import type { Runtime } from "../internal/runtime.ts";
import type { ConnectionNotices } from "./endpoints/connection-notices.ts";
import type { EndpointUrl } from "./endpoints/endpoint-url.ts";
import type { TlsSource } from "./tls/tls-source.ts";

export interface ConnectionOptions {
  readonly endpoints: readonly EndpointUrl[];
  readonly dialTimeoutMs: number;
  readonly runtime: Runtime;
  /** How endpoints that are secured are; undefined for plain ones. */
  readonly tls?: TlsSource | undefined;
  readonly auth?: { readonly username: string; readonly password: string } | undefined;
  readonly requestTimeoutMs: number;
  /** @default true */
  readonly warnUnreachable?: boolean | undefined;
  readonly notices?: ConnectionNotices | undefined;
}
