/** One value in a heap, under its key. Only the heap changes it. */
export interface HeapEntry<T> {
  readonly value: T;
  readonly key: number;
}

interface Placed<T> {
  readonly value: T;
  key: number;
  place: number;
}

/** Finds the value with the smallest key at once. To add, move or remove one takes time in proportion to log n. */
export class Heap<T> {
  readonly #entries: Placed<T>[] = [];

  get size(): number {
    return this.#entries.length;
  }

  get first(): HeapEntry<T> | undefined {
    return this.#entries[0];
  }

  /** The smallest key; Infinity without any. */
  get firstKey(): number {
    return this.#entries[0]?.key ?? Number.POSITIVE_INFINITY;
  }

  add(value: T, key: number): HeapEntry<T> {
    const entry: Placed<T> = { value, key, place: this.#entries.length };
    this.#entries.push(entry);
    this.#rise(entry);
    return entry;
  }

  move(moved: HeapEntry<T>, key: number): void {
    const entry = moved as Placed<T>;
    const rises = key < entry.key;
    entry.key = key;
    if (rises) this.#rise(entry);
    else this.#sink(entry);
  }

  remove(removed: HeapEntry<T>): void {
    const entry = removed as Placed<T>;
    const last = this.#entries.pop() as Placed<T>;
    if (last === entry) return;
    this.#put(last, entry.place);
    this.#rise(last);
    this.#sink(last);
  }

  clear(): void {
    this.#entries.length = 0;
  }

  /** Moves what is above it down until it has its place. */
  #rise(entry: Placed<T>): void {
    let { place } = entry;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#entries[parent] as Placed<T>;
      if (above.key <= entry.key) break;
      this.#put(above, place);
      place = parent;
    }
    this.#put(entry, place);
  }

  /** Moves what is below it up until it has its place. */
  #sink(entry: Placed<T>): void {
    let { place } = entry;
    for (;;) {
      const left = this.#entries[2 * place + 1];
      const right = this.#entries[2 * place + 2];
      const smaller = left && right && right.key < left.key ? right : left;
      if (!smaller || entry.key <= smaller.key) break;
      const { place: child } = smaller;
      this.#put(smaller, place);
      place = child;
    }
    this.#put(entry, place);
  }

  #put(entry: Placed<T>, place: number): void {
    entry.place = place;
    this.#entries[place] = entry;
  }
}
