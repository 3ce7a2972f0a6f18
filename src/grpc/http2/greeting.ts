import { FRAME_HEADER_BYTES, frameType } from "./protocol.ts";

/** What is shown of an answer that is not HTTP/2. */
const MOST_SHOWN = 80;

/**
 * The first bytes of a server, which must be the header of its SETTINGS (RFC 9113, section 3.4). They distinguish those
 * that speak something else apart, which a frame reader would see as frames of absurd sizes.
 */
export class Greeting {
  #bytes: Buffer = Buffer.alloc(0);

  /** Returns all bytes so far once there are enough to decide. */
  take(bytes: Buffer): Buffer | undefined {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    return this.#bytes.length >= FRAME_HEADER_BYTES ? this.#bytes : undefined;
  }

  /** What is wrong with them; undefined for SETTINGS, and for nothing at all. */
  problem(): string | undefined {
    const bytes = this.#bytes;
    if (bytes.length === 0) return undefined;
    const text = bytes.subarray(0, MOST_SHOWN).toString("latin1");
    if (text.startsWith("HTTP/")) return `the server does not speak HTTP/2: it answered ${quote(text)}`;
    // A record of TLS: an alert or a handshake, of any version.
    if ((bytes[0] === 0x15 || bytes[0] === 0x16) && bytes[1] === 3)
      return "the server speaks TLS, and was addressed without";
    if (bytes.length < FRAME_HEADER_BYTES || !isSettings(bytes)) {
      return `the server does not speak HTTP/2: it sent ${/^[\t\r\n\x20-\x7e]+$/.test(text) ? quote(text) : bytes.toString("hex", 0, 16)}`;
    }
    return undefined;
  }
}

/** Not an acknowledgement, of no stream. Its length is for the reader of frames to judge. */
function isSettings(bytes: Buffer): boolean {
  return bytes[3] === frameType.SETTINGS && bytes[4] === 0 && (bytes.readUInt32BE(5) & 0x7fffffff) === 0;
}

function quote(text: string): string {
  return JSON.stringify(text.split(/[\r\n]/, 1)[0]);
}
