/**
 * A binary heap of the numbers from 0 on, ordered by what two arrays say of each: the lesser `first` is on top, of
 * equals the lesser `second`, of those the lesser number. The arrays are the caller's: after it has changed an entry it
 * calls `moved()`, which costs O(log n).
 */
export class IndexedHeap {
  readonly #first: Float64Array;
  readonly #second: Float64Array;
  readonly #items: Int32Array;
  /** Where each number stands in `#items`; −1: it is not in the heap. */
  readonly #places: Int32Array;
  readonly #size: number;

  /** @param contains which of the numbers are in the heap, for good */
  constructor(first: Float64Array, second: Float64Array, contains: (item: number) => boolean) {
    this.#first = first;
    this.#second = second;
    this.#items = new Int32Array(first.length);
    this.#places = new Int32Array(first.length).fill(-1);
    let size = 0;
    for (let item = 0; item < first.length; item++) {
      if (!contains(item)) continue;
      this.#places[item] = size;
      this.#items[size++] = item;
    }
    this.#size = size;
    for (let place = (this.#size >> 1) - 1; place >= 0; place--) this.#sink(place);
  }

  /** The number on top; undefined when the heap is empty. */
  get top(): number | undefined {
    return this.#size === 0 ? undefined : this.#items[0];
  }

  /** What the arrays say of this number has changed. */
  moved(item: number): void {
    const place = this.#places[item] as number;
    if (place < 0) return;
    if (!this.#rise(place)) this.#sink(place);
  }

  #rise(from: number): boolean {
    const items = this.#items;
    const item = items[from] as number;
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = items[parent] as number;
      if (!this.#isBefore(item, above)) break;
      this.#set(place, above);
      place = parent;
    }
    this.#set(place, item);
    return place !== from;
  }

  #sink(from: number): void {
    const items = this.#items;
    const item = items[from] as number;
    let place = from;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#isBefore(items[child + 1] as number, items[child] as number)) child++;
      const below = items[child] as number;
      if (!this.#isBefore(below, item)) break;
      this.#set(place, below);
      place = child;
    }
    this.#set(place, item);
  }

  #set(place: number, item: number): void {
    this.#items[place] = item;
    this.#places[item] = place;
  }

  #isBefore(a: number, b: number): boolean {
    const byFirst = (this.#first[a] as number) - (this.#first[b] as number);
    if (byFirst !== 0) return byFirst < 0;
    const bySecond = (this.#second[a] as number) - (this.#second[b] as number);
    return bySecond === 0 ? a < b : bySecond < 0;
  }
}
