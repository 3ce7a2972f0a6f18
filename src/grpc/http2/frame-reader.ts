import { PeerError } from "./peer-error.ts";
import { DEFAULT_MAX_FRAME_BYTES, errorCode, FRAME_HEADER_BYTES, frameFlag, frameType } from "./protocol.ts";

/** Takes one frame. Its bytes are those of the socket's buffer: they are overwritten when this has returned. */
export interface FrameHandler {
  /** @throws PeerError for a frame that breaks a rule */
  frame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void;
}

/**
 * Cuts what the socket brings into frames (RFC 9113, section 4.1), in place. Only a frame that comes in several reads
 * is put together first; of one with DATA each part is handed on at once as if it were a frame, so that a large message
 * is copied once.
 *
 * ```
 *             whole frame: handed on                        the rest of it: handed on
 *   between ──────────────▶ between        between ──DATA, a part──▶ in DATA ──────────▶ between
 *   between ──a part──▶ gathering ──the rest──▶ between
 * ```
 */
export class FrameReader {
  readonly #handler: FrameHandler;
  #gathered: Buffer | undefined;
  #gatheredBytes = 0;
  #dataBytesLeft = 0;
  #dataFlags = 0;
  #dataStreamId = 0;
  #stopped = false;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /** Hands nothing on any more, not even of what it is reading. */
  stop(): void {
    this.#stopped = true;
  }

  /** @throws PeerError for a frame that is too large, and what the handler throws */
  read(bytes: Buffer, end: number): void {
    let at = 0;
    if (this.#dataBytesLeft > 0) at = this.#readData(bytes, 0, end);
    if (this.#gatheredBytes > 0) at = this.#gather(bytes, at, end);
    while (!this.#stopped && end - at >= FRAME_HEADER_BYTES) {
      const length = lengthAt(bytes, at);
      const payload = at + FRAME_HEADER_BYTES;
      const next = payload + length;
      if (next > end) {
        if (!this.#beginData(bytes, at, length)) break;
        at = this.#readData(bytes, payload, end);
        return;
      }
      this.#handler.frame(
        bytes[at + 3] as number,
        bytes[at + 4] as number,
        streamIdAt(bytes, at),
        bytes,
        payload,
        next,
      );
      at = next;
    }
    if (at < end && !this.#stopped) {
      bytes.copy(this.#room(), this.#gatheredBytes, at, end);
      this.#gatheredBytes += end - at;
    }
  }

  /** Completes the frame that was begun, header first. Returns where the next one begins. */
  #gather(bytes: Buffer, start: number, end: number): number {
    let at = start;
    const gathered = this.#room();
    if (this.#gatheredBytes < FRAME_HEADER_BYTES) {
      at = this.#gatherUpTo(FRAME_HEADER_BYTES, bytes, at, end);
      if (this.#gatheredBytes < FRAME_HEADER_BYTES) return at;
    }
    const length = lengthAt(gathered, 0);
    if (this.#gatheredBytes === FRAME_HEADER_BYTES && length > 0 && this.#beginData(gathered, 0, length)) {
      this.#gatheredBytes = 0;
      return this.#readData(bytes, at, end);
    }
    const whole = FRAME_HEADER_BYTES + length;
    at = this.#gatherUpTo(whole, bytes, at, end);
    if (this.#gatheredBytes < whole) return at;
    this.#gatheredBytes = 0;
    const [type, flags] = [gathered[3] as number, gathered[4] as number];
    this.#handler.frame(type, flags, streamIdAt(gathered, 0), gathered, FRAME_HEADER_BYTES, whole);
    return at;
  }

  #gatherUpTo(most: number, bytes: Buffer, at: number, end: number): number {
    const next = Math.min(end, at + most - this.#gatheredBytes);
    bytes.copy(this.#room(), this.#gatheredBytes, at, next);
    this.#gatheredBytes += next - at;
    return next;
  }

  /** Room for the largest frame. Many connections never see one that is cut. */
  #room(): Buffer {
    this.#gathered ??= Buffer.allocUnsafeSlow(FRAME_HEADER_BYTES + DEFAULT_MAX_FRAME_BYTES);
    return this.#gathered;
  }

  /**
   * Whether the frame may be handed on in parts. Padding stands at its beginning and its end, so that needs it whole.
   */
  #beginData(bytes: Buffer, at: number, length: number): boolean {
    const flags = bytes[at + 4] as number;
    if (bytes[at + 3] !== frameType.DATA || (flags & frameFlag.PADDED) !== 0) return false;
    this.#dataBytesLeft = length;
    this.#dataFlags = flags;
    this.#dataStreamId = streamIdAt(bytes, at);
    return true;
  }

  #readData(bytes: Buffer, start: number, end: number): number {
    const next = Math.min(end, start + this.#dataBytesLeft);
    if (next === start) return start;
    this.#dataBytesLeft -= next - start;
    const flags = this.#dataBytesLeft > 0 ? this.#dataFlags & ~frameFlag.END_STREAM : this.#dataFlags;
    this.#handler.frame(frameType.DATA, flags, this.#dataStreamId, bytes, start, next);
    return next;
  }
}

/** @throws PeerError for more than we allow */
function lengthAt(bytes: Buffer, at: number): number {
  const length = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
  if (length > DEFAULT_MAX_FRAME_BYTES) {
    throw new PeerError(
      errorCode.FRAME_SIZE_ERROR,
      `a frame of ${length} bytes, above the limit of ${DEFAULT_MAX_FRAME_BYTES}`,
    );
  }
  return length;
}

/** The first bit is reserved. */
function streamIdAt(bytes: Buffer, at: number): number {
  const high = ((bytes[at + 5] as number) & 0x7f) << 24;
  return high | ((bytes[at + 6] as number) << 16) | ((bytes[at + 7] as number) << 8) | (bytes[at + 8] as number);
}
