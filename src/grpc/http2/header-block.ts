import { PeerError } from "./peer-error.ts";
import { errorCode } from "./protocol.ts";

/** The most of one header block, as it comes, and of its fields, as SETTINGS_MAX_HEADER_LIST_SIZE counts. */
export const MOST_HEADER_BYTES = 64 * 1024;
/** What fits into the limit in frames that are hardly filled. More is the flood of CVE-2024-27316. */
const MOST_CONTINUATIONS = 64;

/** A header block that comes in several frames: HEADERS, then CONTINUATION with nothing in between (RFC 9113, 6.10). */
export class HeaderBlock {
  readonly streamId: number;
  readonly endsStream: boolean;
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  constructor(streamId: number, endsStream: boolean) {
    this.streamId = streamId;
    this.endsStream = endsStream;
  }

  /** @throws PeerError for more than a header block may have */
  add(bytes: Buffer, start: number, end: number): void {
    this.#bytes += end - start;
    if (this.#bytes > MOST_HEADER_BYTES || this.#parts.length > MOST_CONTINUATIONS) {
      throw new PeerError(errorCode.ENHANCE_YOUR_CALM, "a header block is too large or comes in too many frames");
    }
    this.#parts.push(Buffer.from(bytes.subarray(start, end)));
  }

  whole(): Buffer {
    return Buffer.concat(this.#parts);
  }
}
