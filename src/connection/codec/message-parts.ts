/** What is kept of a large message keeps at most so much of it alive, or itself where it is larger. */
const PART_BYTES = 16 * 1024;
/** What is larger has a part of its own. */
const SMALL_BYTES = PART_BYTES / 4;

/**
 * Copies of the parts of a large message, so that an entry that is kept does not keep all of it alive. What is read in
 * order goes into the same part as long as it fits.
 */
export class MessageParts {
  /** The part that was taken last, and where it begins in the message. */
  bytes: Buffer;
  start = 0;
  readonly #message: Buffer;
  #part: Buffer | undefined;
  #partStart = 0;

  /** Undefined for a message that is small, with all that shares its memory: nothing is gained by parts of it. */
  static of(message: Buffer): MessageParts | undefined {
    return message.buffer.byteLength > PART_BYTES ? new MessageParts(message) : undefined;
  }

  private constructor(message: Buffer) {
    this.#message = message;
    this.bytes = message;
  }

  /** Takes a part that has all between `start` and `end`, which is not before what was taken last. */
  take(start: number, end: number): void {
    const message = this.#message;
    if (end - start > SMALL_BYTES) {
      // What is most of its message stays where it is.
      const most = (end - start) * 2 >= message.buffer.byteLength;
      this.bytes = most ? message : copyOf(message, start, end);
      this.start = most ? 0 : start;
      return;
    }
    if (!this.#part || end > this.#partStart + this.#part.length) {
      this.#partStart = start;
      this.#part = copyOf(message, start, Math.min(message.length, start + PART_BYTES));
    }
    this.bytes = this.#part;
    this.start = this.#partStart;
  }
}

function copyOf(message: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start);
  message.copy(copy, 0, start, end);
  return copy;
}
