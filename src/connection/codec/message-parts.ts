/** What is kept of a large message keeps at most so much of it alive, or itself where it is larger. */
const PART_BYTES = 16 * 1024;
/** What is larger has a part of its own. */
const SMALL_BYTES = PART_BYTES / 4;

const nothing: Buffer = Buffer.alloc(0);

/**
 * Copies of the parts of a message that is large, so that an entry that is kept does not keep all of it alive, or whose
 * bytes are overwritten soon. What is read in order goes into the same part as long as it fits. One message is read at
 * a time, from `begin()` to `end()`.
 */
export class MessageParts {
  /** Whether what is kept of the message has to be taken. */
  needed = false;
  /** The part that was taken last, and where it begins in the message. */
  bytes = nothing;
  start = 0;
  #message = nothing;
  #isView = false;
  #part: Buffer | undefined;
  #partStart = 0;

  /** @param isView the bytes of the message are overwritten when it has been read */
  begin(message: Buffer, isView: boolean): void {
    this.#message = message;
    this.#isView = isView;
    // Nothing is gained by parts of one that is small, with all that shares its memory.
    this.needed = isView || message.buffer.byteLength > PART_BYTES;
  }

  end(): void {
    this.needed = false;
    this.#message = nothing;
    this.bytes = nothing;
    this.#part = undefined;
  }

  /** Takes a part that has all between `start` and `end`, which is not before what was taken last. */
  take(start: number, end: number): void {
    const message = this.#message;
    if (end - start > SMALL_BYTES) {
      // What is most of its message stays where it is.
      const most = !this.#isView && (end - start) * 2 >= message.buffer.byteLength;
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
