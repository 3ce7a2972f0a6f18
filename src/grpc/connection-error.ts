/**
 * Why there is no connection, or no longer one. Before it is up:
 *
 * - `unresolved`: the host's name has no address
 * - `refused`: nothing listens there, or the network says that it cannot be reached
 * - `timeout`: no connection, or no TLS handshake, within `connectTimeoutMs`
 * - `tls`: the handshake failed: a certificate, an alert, or a server that does not speak TLS
 * - `not-http2`: the server speaks something else: TLS without `h2`, HTTP/1, TLS where it was addressed without
 *
 * At any time:
 *
 * - `reset`: the socket was closed or broke
 * - `goaway`: the server ended it in an orderly way; `http2Code` says how it gave the reason
 * - `protocol`: the server broke a rule of HTTP/2, or went beyond a limit of ours; `http2Code` is what was sent to it
 * - `silent`: nothing was heard in time, neither settings at the beginning nor an answer to a ping
 * - `exhausted`: all stream ids are used, and the last stream is over
 * - `closed`: by `close()` or `destroy()`, or by the signal of the dial
 */
export const endReasons = [
  "unresolved",
  "refused",
  "timeout",
  "tls",
  "not-http2",
  "reset",
  "goaway",
  "protocol",
  "silent",
  "exhausted",
  "closed",
] as const;

export type EndReason = (typeof endReasons)[number];

export interface ConnectionErrorDetails {
  readonly http2Code?: number | undefined;
  /** What Node or OpenSSL said, or the reason of the signal. */
  readonly cause?: unknown;
}

/** The one reason for which a connection did not come up, or ended. Its message says what happened, in words. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
  readonly reason: EndReason;
  /** The error code of HTTP/2 (RFC 9113, section 7) that the server sent with a GOAWAY, or that it was sent. */
  readonly http2Code: number | undefined;

  constructor(reason: EndReason, message: string, { http2Code, cause }: ConnectionErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.reason = reason;
    this.http2Code = http2Code;
  }
}
