import { PeerError } from "./http2/peer-error.ts";
import { errorCode } from "./http2/protocol.ts";

/**
 * What of a window is to be given back to the peer (RFC 9113, section 6.9): half of it at a time, not after each
 * message.
 *
 * @param usedBytes what the peer has used since it was given some back
 * @throws PeerError when it has used more than there was
 */
export function windowToReturn(usedBytes: number, windowBytes: number): number {
  if (usedBytes > windowBytes) {
    throw new PeerError(errorCode.FLOW_CONTROL_ERROR, `more data than the window of ${windowBytes} bytes`);
  }
  return usedBytes >= windowBytes / 2 ? usedBytes : 0;
}
