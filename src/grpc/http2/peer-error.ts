/** The peer breaks a rule of HTTP/2 or goes beyond a limit: the connection ends, and the code is sent to the peer. */
export class PeerError extends Error {
  override readonly name = "PeerError";
  readonly http2Code: number;

  constructor(http2Code: number, message: string) {
    super(message);
    this.http2Code = http2Code;
  }
}
