import type { SecureContext } from "node:tls";
import type { Clock } from "../internal/clock.ts";
import type { ConnectionError } from "./connection-error.ts";
import type { TlsSession } from "./tls-session.ts";

/** Where to connect to. A host's name is resolved anew by each dial, and all of its addresses are tried. */
export type Target =
  | {
      /** A name or an address; an IPv6 address without brackets. */
      readonly host: string;
      readonly port: number;
    }
  | {
      /** The path of a unix socket. */
      readonly path: string;
    };

/** How to secure the connection. The server must choose `h2` by ALPN. */
export interface TlsOptions {
  /** Made of `ca`, `cert` and `key` by the caller; it takes the place of these three. */
  readonly secureContext?: SecureContext | undefined;
  /** Certificates of the authorities that are trusted, as PEM. @default those that come with Node */
  readonly ca?: string | Uint8Array | undefined;
  /** The client's certificate, as PEM. */
  readonly cert?: string | Uint8Array | undefined;
  /** The key of the client's certificate, as PEM. */
  readonly key?: string | Uint8Array | undefined;
  /**
   * The name that the server's certificate must have. It is asked for (SNI) unless it is an address.
   *
   * @default the host; for a unix socket `localhost`
   */
  readonly servername?: string | undefined;
  /** Lets a later dial resume the session. Share one among the dials of one server with the same certificates only. */
  readonly session?: TlsSession | undefined;
}

/** When the server counts as silent. All in milliseconds; 0 or less is not allowed. */
export interface LivenessOptions {
  /**
   * Nothing was read for so long while a unary call is unanswered: the server is asked for a sign of life.
   *
   * @default 1000
   */
  readonly unansweredMs?: number | undefined;
  /** Nothing was read for so long while only streams are open: likewise. @default 6000 */
  readonly quietMs?: number | undefined;
  /** How long the server has for the sign of life. @default 2000 */
  readonly answerMs?: number | undefined;
  /**
   * The least time between two PING frames. etcd ends a connection whose pings come faster than every 5 s; half a
   * second more is for the network, which may bring the second one sooner. @default 5500
   */
  readonly pingIntervalMs?: number | undefined;
}

export interface ConnectOptions {
  /** Secures the connection. @default a plain one */
  readonly tls?: TlsOptions | undefined;
  /**
   * Which of the addresses of the host's name is tried first: the others follow in turn.
   *
   * @default 0, as they were resolved
   */
  readonly addressTurn?: number | undefined;
  /** The `:authority` of each request. @default host and port; for a unix socket `localhost` */
  readonly authority?: string | undefined;
  /** The `user-agent` of each request. @default "grpc-node-net" */
  readonly userAgent?: string | undefined;
  /** For resolving the name, connecting and the TLS handshake together. @default 5000 */
  readonly connectTimeoutMs?: number | undefined;
  /** For the server's SETTINGS, once the socket is up. @default 5000 */
  readonly settingsTimeoutMs?: number | undefined;
  /** Ends the dial. Of no effect on a connection that is up. */
  readonly signal?: AbortSignal | undefined;
  /**
   * What one stream may send before it waits for us, in bytes: it decides how fast a large answer comes over a long way
   * (a window each round trip). @default 4 MiB
   */
  readonly streamWindowBytes?: number | undefined;
  /** Likewise for all streams together. HTTP/2 allows no less than 65 535. @default 16 MiB */
  readonly connectionWindowBytes?: number | undefined;
  /** The largest message that is accepted. Memory is taken as it arrives, not as it is announced. @default 2^31 - 1 */
  readonly maxMessageBytes?: number | undefined;
  readonly liveness?: LivenessOptions | undefined;
  /** The server lets no new stream begin (a GOAWAY), or all stream ids are used. What is open may finish. */
  readonly onDraining?: ((reason: ConnectionError) => void) | undefined;
  /** The connection is over, after all of its calls have ended. Called once, and only if `connect` had resolved. */
  readonly onEnd?: ((reason: ConnectionError) => void) | undefined;
  /** @default the system's clock */
  readonly clock?: Clock | undefined;
}
