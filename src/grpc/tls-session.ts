import { parseDate } from "../internal/real-time.ts";

/**
 * The session of TLS with one server, so that the next dial is resumed: a shorter handshake, without certificates. The
 * server's is not looked at again, so a session ends with the certificate that it began with, as in Go's crypto/tls.
 * Make a new one when the certificates of this side are replaced.
 */
export class TlsSession {
  #ticket: Buffer | undefined;
  #validUntilMs = 0;

  /**
   * @param validTo when the server's certificate expires, as `getPeerCertificate()` says it. Undefined for a session
   *   that was
   * resumed, which has not seen it: then what was known of it before holds
   */
  keep(ticket: Buffer, validTo: string | undefined): void {
    this.#ticket = ticket;
    if (validTo !== undefined) this.#validUntilMs = parseDate(validTo);
  }

  /**
   * @param nowMs the wall clock, which certificates are about
   * @returns undefined: there is none, or the certificate has expired meanwhile
   */
  ticketAt(nowMs: number): Buffer | undefined {
    return nowMs < this.#validUntilMs ? this.#ticket : undefined;
  }

  forget(): void {
    this.#ticket = undefined;
  }
}
