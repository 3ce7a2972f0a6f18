/**
 * The session of TLS with one server, so that the next dial is resumed: a shorter handshake without certificates. Make
 * a new one when the certificates are replaced, for a resumed session has the identity of the one that it came from.
 */
export class TlsSession {
  /** Set by the dials that share it. */
  ticket: Buffer | undefined;
}
