/** Holes are swept out when they are more than the items, and more than this. */
const FEW_HOLES = 64;

/**
 * Items in an order of their own, which must not change while they are in it. What is added last mostly belongs at the
 * end, and what is deleted mostly stands near the head: both cost next to nothing then, however long the queue is.
 */
export class SortedQueue<T> implements Iterable<T> {
  readonly #compare: (a: T, b: T) => number;
  readonly #live = new Set<T>();
  /** In order, with holes: what was deleted stays in its place until it is swept out. Before `#head` all are holes. */
  #slots: T[] = [];
  #head = 0;

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#live.size;
  }

  get first(): T | undefined {
    for (const item of this) return item;
    return undefined;
  }

  add(item: T): void {
    if (this.#live.has(item)) return;
    const place = this.#placeOf(item);
    this.#live.add(item);
    for (let at = place; at < this.#slots.length; at++) {
      const there = this.#slots[at] as T;
      // It was deleted, and its hole is still there.
      if (there === item) return;
      if (this.#compare(there, item) !== 0) break;
    }
    if (place === this.#slots.length) this.#slots.push(item);
    else if (place === this.#head && this.#head > 0) this.#slots[--this.#head] = item;
    else this.#slots.splice(place, 0, item);
  }

  delete(item: T): void {
    if (!this.#live.delete(item)) return;
    while (this.#head < this.#slots.length && !this.#live.has(this.#slots[this.#head] as T)) this.#head++;
    if (this.#slots.length - 2 * this.#live.size <= FEW_HOLES) return;
    // A new array: an iteration may be going through the old one.
    this.#slots = this.#slots.slice(this.#head).filter((other) => this.#live.has(other));
    this.#head = 0;
  }

  /** Items may be deleted meanwhile; what is added meanwhile may or may not come. */
  *[Symbol.iterator](): Iterator<T> {
    const slots = this.#slots;
    for (let at = this.#head; at < slots.length; at++) {
      const item = slots[at] as T;
      if (this.#live.has(item)) yield item;
    }
  }

  /** The first place from the head on whose item does not come before this one. */
  #placeOf(item: T): number {
    const last = this.#slots.at(-1);
    if (last !== undefined && this.#head < this.#slots.length && this.#compare(last, item) < 0) {
      return this.#slots.length;
    }
    let low = this.#head;
    let high = this.#slots.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.#slots[middle] as T, item) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
