interface StreamEnd {
  /** It was read to its end, given up by its reader, or dropped. */
  done(): void;
  failed(error: unknown): void;
}

/** An iterable that is dropped before its end says nothing itself. */
const dropped = new FinalizationRegistry<StreamEnd>((end) => end.done());

/**
 * The messages of a stream, read as they are asked for, which say how the stream ended. As with a generator, all
 * iterators are one.
 *
 * Guaranteed: `end.done()` is called after the last message, after a `return()`, also before the first `next()`, and
 * when a stream that nothing refers to was collected as garbage; `end.failed()` after an error. `end` must not refer to
 * the stream.
 */
export class MessageStream<T> implements AsyncIterable<T> {
  readonly #messages: AsyncIterable<T>;
  readonly #end: StreamEnd;
  #reader: AsyncIterator<T> | undefined;
  #over = false;

  constructor(messages: AsyncIterable<T>, end: StreamEnd) {
    this.#messages = messages;
    this.#end = end;
    dropped.register(this, end, this);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    const iterator: AsyncIterableIterator<T> = {
      next: () => this.#next(),
      return: (value?: unknown) => this.#giveUp(value),
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  async #next(): Promise<IteratorResult<T>> {
    if (this.#over) return { done: true, value: undefined };
    try {
      this.#reader ??= this.#messages[Symbol.asyncIterator]();
      const result = await this.#reader.next();
      if (result.done) this.#close();
      return result;
    } catch (error) {
      this.#end.failed(error);
      this.#close();
      throw error;
    }
  }

  async #giveUp(value: unknown): Promise<IteratorReturnResult<unknown>> {
    const isOpen = !this.#over;
    this.#close();
    if (isOpen) await this.#reader?.return?.();
    return { done: true, value };
  }

  #close(): void {
    this.#over = true;
    dropped.unregister(this);
    this.#end.done();
  }
}
