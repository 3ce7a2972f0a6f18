import { roomFor } from "./typed-arrays.ts";

/**
 * A binary heap of small numbers from 0 on, each with two keys: the lesser `first` is on top, of equals the lesser
 * `second`, of those the lesser number. A change costs O(log n).
 */
export class IndexedHeap {
  /** The numbers and their keys, by their place in the heap: what is compared lies side by side. */
  #items = new Int32Array(0);
  #first = new Float64Array(0);
  #second = new Float64Array(0);
  /** Where each number stands; −1: it is not in the heap. */
  #places = new Int32Array(0);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The number on top; undefined when the heap is empty. */
  get top(): number | undefined {
    return this.#size === 0 ? undefined : this.#items[0];
  }

  has(item: number): boolean {
    return item < this.#places.length && (this.#places[item] as number) >= 0;
  }

  /** The first key of a number that it has. */
  firstOf(item: number): number {
    return this.#first[this.#places[item] as number] as number;
  }

  /** The second key of a number that it has. */
  secondOf(item: number): number {
    return this.#second[this.#places[item] as number] as number;
  }

  /** Puts a number in, or moves it to where its keys want it now. */
  set(item: number, first: number, second: number): void {
    if (!this.has(item)) {
      this.#places = roomFor(this.#places, item, -1);
      this.#items = roomFor(this.#items, this.#size);
      this.#first = roomFor(this.#first, this.#size);
      this.#second = roomFor(this.#second, this.#size);
      this.#rise(this.#size++, item, first, second);
      return;
    }
    const place = this.#places[item] as number;
    if (this.#rise(place, item, first, second) === place) this.#sink(place, item, first, second);
  }

  delete(item: number): void {
    if (!this.has(item)) return;
    const place = this.#places[item] as number;
    this.#places[item] = -1;
    const last = --this.#size;
    if (place === last) return;
    const moved = this.#items[last] as number;
    const first = this.#first[last] as number;
    const second = this.#second[last] as number;
    if (this.#rise(place, moved, first, second) === place) this.#sink(place, moved, first, second);
  }

  /** Takes the same off all first keys, so that the order stays. */
  lowerFirst(by: number): void {
    for (let place = 0; place < this.#size; place++) this.#first[place] = (this.#first[place] as number) - by;
  }

  /** The least of all second keys, by a look at all; Infinity without any. */
  leastSecond(): number {
    let least = Number.POSITIVE_INFINITY;
    for (let place = 0; place < this.#size; place++) least = Math.min(least, this.#second[place] as number);
    return least;
  }

  /** @returns the place that it came to */
  #rise(from: number, item: number, first: number, second: number): number {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!this.#isAfter(parent, item, first, second)) break;
      this.#move(parent, place);
      place = parent;
    }
    this.#put(place, item, first, second);
    return place;
  }

  #sink(from: number, item: number, first: number, second: number): void {
    const size = this.#size;
    let place = from;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= size) break;
      if (child + 1 < size) {
        const byFirst = (this.#first[child + 1] as number) - (this.#first[child] as number);
        if (byFirst < 0 || (byFirst === 0 && this.#isBeforeOfEqualFirst(child + 1, child))) child++;
      }
      if (this.#isAfter(child, item, first, second)) break;
      this.#move(child, place);
      place = child;
    }
    this.#put(place, item, first, second);
  }

  /** Whether what stands there comes after this number with these keys. */
  #isAfter(place: number, item: number, first: number, second: number): boolean {
    const byFirst = (this.#first[place] as number) - first;
    if (byFirst !== 0) return byFirst > 0;
    const bySecond = (this.#second[place] as number) - second;
    return bySecond === 0 ? (this.#items[place] as number) > item : bySecond > 0;
  }

  #isBeforeOfEqualFirst(a: number, b: number): boolean {
    const bySecond = (this.#second[a] as number) - (this.#second[b] as number);
    return bySecond === 0 ? (this.#items[a] as number) < (this.#items[b] as number) : bySecond < 0;
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#items[from] as number, this.#first[from] as number, this.#second[from] as number);
  }

  #put(place: number, item: number, first: number, second: number): void {
    this.#items[place] = item;
    this.#first[place] = first;
    this.#second[place] = second;
    this.#places[item] = place;
  }
}
