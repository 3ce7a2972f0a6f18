const PREFIX_BYTES = 5;

/** Takes bytes as they come, and hands on the messages of gRPC in them. */
export class MessageSplitter {
  readonly #onMessage: (message: Buffer) => void;
  #bytes = Buffer.alloc(0);

  constructor(onMessage: (message: Buffer) => void) {
    this.#onMessage = onMessage;
  }

  /** Nothing of another message has come. */
  get isWhole(): boolean {
    return this.#bytes.length === 0;
  }

  add(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#bytes.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + this.#bytes.readUInt32BE(1);
      if (this.#bytes.length < end) return;
      const message = this.#bytes.subarray(PREFIX_BYTES, end);
      this.#bytes = this.#bytes.subarray(end);
      this.#onMessage(message);
    }
  }
}
