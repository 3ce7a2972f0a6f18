import { type Deferred, deferred } from "./deferred.ts";

/** Items for one reader, in order, with a bound that the writer watches: `weight` is how much waits. */
export class AsyncQueue<T> {
  readonly #weigh: (item: T) => number;
  // Taken from the end of `#out`, which is refilled from `#in` turned round: Array.shift() moves all that follow, which
  // makes emptying a long queue quadratic.
  #in: T[] = [];
  #out: T[] = [];
  #weight = 0;
  #waiting: Deferred<IteratorResult<T, undefined>> | undefined;
  #end: { error?: unknown } | undefined;

  constructor(weigh: (item: T) => number = () => 1) {
    this.#weigh = weigh;
  }

  get weight(): number {
    return this.#weight;
  }

  push(item: T): void {
    if (this.#end) return;
    if (this.#waiting) {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      waiting.resolve({ done: false, value: item });
      return;
    }
    this.#in.push(item);
    this.#weight += this.#weigh(item);
  }

  /** Puts `item` in the place of everything that waits. */
  replaceAll(merge: (items: readonly T[]) => T): void {
    const merged = merge([...this.#out.reverse(), ...this.#in]);
    this.#out = [merged];
    this.#in = [];
    this.#weight = this.#weigh(merged);
  }

  /** No more items: the reader gets what waits and then the end, or `error`. With `discard` it gets the end at once. */
  end(end: { error?: unknown; discard?: boolean } = {}): void {
    if (this.#end) return;
    this.#end = end;
    if (end.discard) {
      this.#out = [];
      this.#in = [];
      this.#weight = 0;
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (!waiting) return;
    if ("error" in end) {
      this.#end = {};
      waiting.reject(end.error);
    } else waiting.resolve({ done: true, value: undefined });
  }

  /** The error is thrown once; after it the queue is at its end. A second read while one waits gets an error. */
  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#out.length === 0) {
      this.#out = this.#in.reverse();
      this.#in = [];
    }
    if (this.#out.length > 0) {
      const value = this.#out.pop() as T;
      this.#weight -= this.#weigh(value);
      return Promise.resolve({ done: false, value });
    }
    if (this.#end) {
      const { error } = this.#end;
      const failed = "error" in this.#end;
      this.#end = {};
      return failed ? Promise.reject(error) : Promise.resolve({ done: true, value: undefined });
    }
    if (this.#waiting) return Promise.reject(new TypeError("next() was called again before the last one settled"));
    this.#waiting = deferred();
    return this.#waiting.promise;
  }
}
