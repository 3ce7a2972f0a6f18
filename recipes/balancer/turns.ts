import { IndexedHeap } from "./indexed-heap.ts";
import type { SlotIndex } from "./slot-view.ts";

/** When the heaviest server has had so many turns, time begins again at 0, so that it stays exact. */
const MOST_TURNS = 2 ** 40;

/**
 * Whose turn it is among some servers, by earliest deadline first: a server of weight w is due every 1 / w, and at each
 * pick the one that is due first is chosen. Time goes by 1 while each gets as many turns as it weighs.
 */
export class Turns implements SlotIndex {
  readonly #random: () => number;
  readonly #firstByWeight: boolean;
  /**
   * By when each is due, then by its interval: of two at the same time the heavier goes first, it is due again sooner.
   */
  readonly #heap = new IndexedHeap();
  #hasBegun = false;
  #now = 0;
  #heaviest = 0;

  /**
   * @param random a number in [0, 1)
   * @param firstByWeight the first turn goes to each server in proportion to its weight
   */
  constructor(random: () => number, firstByWeight: boolean) {
    this.#random = random;
    this.#firstByWeight = firstByWeight;
  }

  set(slot: number, weight: number): void {
    const interval = 1 / weight;
    const has = this.#heap.has(slot);
    if (has && this.#heap.secondOf(slot) === interval) return;
    const phase = has ? this.#phaseOf(slot) : this.#firstPhase();
    this.#heap.set(slot, this.#now + phase * interval, interval);
    this.#heaviest = Math.max(this.#heaviest, weight);
    this.#keepExact();
  }

  delete(slot: number): void {
    this.#heap.delete(slot);
  }

  /** The slot whose turn it is; there is at least one. */
  next(): number {
    const slot = this.#heap.top as number;
    const dueAt = this.#heap.firstOf(slot);
    const interval = this.#heap.secondOf(slot);
    if (dueAt > this.#now) this.#now = dueAt;
    this.#heap.set(slot, dueAt + interval, interval);
    this.#hasBegun = true;
    this.#keepExact();
    return slot;
  }

  /** How much of its interval one that comes now has to wait first, above 0 and at most 1. */
  #firstPhase(): number {
    const drawn = 1 - this.#random();
    // Of several that wait so long, each for a part of its interval, the first is each one in proportion to its weight.
    return this.#firstByWeight && !this.#hasBegun ? Math.min(-Math.log(drawn), 1) : drawn;
  }

  /** How much of its interval it still has to wait. */
  #phaseOf(slot: number): number {
    const left = (this.#heap.firstOf(slot) - this.#now) / this.#heap.secondOf(slot);
    return Math.min(Math.max(left, 0), 1);
  }

  #keepExact(): void {
    if (this.#now * this.#heaviest <= MOST_TURNS) return;
    this.#heap.lowerFirst(this.#now);
    this.#now = 0;
    this.#heaviest = 1 / this.#heap.leastSecond();
  }
}
