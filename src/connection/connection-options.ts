import type { Runtime } from "../internal/runtime.ts";
import type { ConnectionNotices } from "./endpoints/connection-notices.ts";
import type { EndpointSource } from "./endpoints/endpoint-url.ts";
import type { SrvResolver } from "./endpoints/srv-lookup.ts";
import type { TlsSource } from "./tls/tls-source.ts";

export interface ConnectionOptions {
  readonly endpoints: EndpointSource;
  readonly dialTimeoutMs: number;
  readonly runtime: Runtime;
  /** How endpoints that are secured are; undefined for plain ones. */
  readonly tls?: TlsSource | undefined;
  readonly auth?: { readonly username: string; readonly password: string } | undefined;
  readonly requestTimeoutMs: number;
  /** @default true */
  readonly warnUnreachable?: boolean | undefined;
  /** What asks DNS for the members of a domain. @default Node's own resolver, with the servers that Node has by then */
  readonly resolver?: (() => SrvResolver) | undefined;
  readonly notices?: ConnectionNotices | undefined;
}
