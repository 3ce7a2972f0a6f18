/** Takes the messages of one response. */
export interface MessageSink {
  /** Whether messages may be views: their bytes are overwritten when `message()` has returned. */
  readonly takesViews: boolean;
  /** @param isView the bytes are those of the socket's buffer, or of one that is used again */
  message(message: Buffer, isView: boolean): void;
}

/** Each message of gRPC begins with whether it is compressed, and its length (grpc/grpc: doc/PROTOCOL-HTTP2.md). */
export const PREFIX_BYTES = 5;
/** So much is taken at once for a message. Of a longer one more is taken as it arrives, for its length may be a lie. */
const FIRST_BYTES = 1024 * 1024;
/** A view of so much is put together where the last one was: memory that is new costs more than to fill it. */
const SHARED_BYTES = 64 * 1024;

/** Where that was; a full collection may take it. Undefined while a message is put together there. */
let shared: WeakRef<Buffer> | undefined;

/**
 * Cuts DATA into messages. One that is whole in a frame, as most are, is handed on as a view of it; others are put
 * together.
 *
 * ```
 *              whole: handed on                                 whole: handed on
 *   between ──────────────▶ between        prefix ──5 bytes──▶ body ─────────────▶ between
 *   between ──a part──▶ prefix
 * ```
 */
export class MessageReader {
  readonly #sink: MessageSink;
  /** Bytes of a prefix that came in parts, as the number they are. */
  #prefixBytes = 0;
  #compressed = 0;
  #length = 0;
  #body: Buffer | undefined;
  #bodyBytes = 0;
  #stopped = false;

  constructor(sink: MessageSink) {
    this.#sink = sink;
  }

  /** In the midst of a message. */
  get partial(): boolean {
    return this.#prefixBytes > 0;
  }

  /** Hands nothing on any more. */
  stop(): void {
    this.#stopped = true;
    this.#body = undefined;
  }

  /** @returns what is wrong with it: a message that is compressed or larger than `maxBytes` */
  read(bytes: Buffer, start: number, end: number, maxBytes: number): "compressed" | "too large" | undefined {
    let at = start;
    while (at < end && !this.#stopped) {
      if (this.#prefixBytes === 0 && end - at >= PREFIX_BYTES) {
        const length = bytes.readUInt32BE(at + 1);
        const from = at + PREFIX_BYTES;
        const next = from + length;
        if (bytes[at] === 0 && next <= end && length <= maxBytes) {
          at = next;
          this.#sink.message(bytes.subarray(from, next), true);
          continue;
        }
      }
      if (this.#prefixBytes < PREFIX_BYTES) {
        this.#prefix(bytes[at++] as number);
        if (this.#prefixBytes < PREFIX_BYTES) continue;
        if (this.#compressed !== 0) return "compressed";
        if (this.#length > maxBytes) return "too large";
      }
      at = this.#take(bytes, at, end);
    }
    return undefined;
  }

  #prefix(byte: number): void {
    if (this.#prefixBytes === 0) {
      this.#compressed = byte;
      this.#length = 0;
    } else this.#length = this.#length * 256 + byte;
    this.#prefixBytes++;
  }

  #take(bytes: Buffer, start: number, end: number): number {
    const next = Math.min(end, start + this.#length - this.#bodyBytes);
    const taken = this.#bodyBytes + next - start;
    const body = this.#room(taken);
    bytes.copy(body, this.#bodyBytes, start, next);
    this.#bodyBytes = taken;
    if (taken === this.#length) {
      this.#prefixBytes = 0;
      this.#bodyBytes = 0;
      this.#body = undefined;
      if (this.#shares) {
        this.#sink.message(body.subarray(0, taken), true);
        shared = new WeakRef(body);
      } else this.#sink.message(body, false);
    }
    return next;
  }

  get #shares(): boolean {
    return this.#sink.takesViews && this.#length >= SHARED_BYTES;
  }

  /** Doubles what it has taken, up to the length that was announced. */
  #room(bytes: number): Buffer {
    const known = this.#body;
    if (known !== undefined && bytes <= known.length) return known;
    if (known === undefined && this.#shares) {
      const last = shared?.deref();
      shared = undefined;
      if (last !== undefined && bytes <= last.length) {
        this.#body = last;
        return last;
      }
    }
    const most = known === undefined ? FIRST_BYTES : known.length * 2;
    const body = Buffer.allocUnsafeSlow(Math.min(this.#length, Math.max(bytes, most)));
    known?.copy(body, 0, 0, this.#bodyBytes);
    this.#body = body;
    return body;
  }
}
