import type { MirrorBatch, MirrorStep } from "./mirror-batch.ts";
import { MirrorReader } from "./mirror-reader.ts";

/** All iterations of a Mirror. */
export class MirrorReaders {
  readonly #maxBuffered: number;
  readonly #readers = new Set<MirrorReader>();
  #end: { readonly error?: unknown } | undefined;

  constructor(maxBuffered: number) {
    this.#maxBuffered = maxBuffered;
  }

  /** @param first what a reader begins with, if there is a list by then; asked for when it reads first */
  iterator(first: () => MirrorStep | undefined): AsyncIterator<MirrorBatch, undefined> {
    let reader: MirrorReader | undefined;
    return {
      next: () => {
        reader ??= this.#add(first);
        return reader.next();
      },
      return: async () => {
        reader ??= this.#add(first);
        this.#readers.delete(reader);
        reader.end({ discard: true });
        return { done: true, value: undefined };
      },
    };
  }

  publish(step: MirrorStep): void {
    for (const reader of this.#readers) reader.push(step);
  }

  /** Those that come later are at their end, too. */
  end(end: { readonly error?: unknown }): void {
    this.#end = end;
    for (const reader of this.#readers) reader.end(end);
    this.#readers.clear();
  }

  #add(first: () => MirrorStep | undefined): MirrorReader {
    const reader = new MirrorReader(this.#maxBuffered);
    if (this.#end) {
      reader.end(this.#end);
      return reader;
    }
    const step = first();
    if (step) reader.push(step);
    this.#readers.add(reader);
    return reader;
  }
}
