import { IndexedHeap } from "./indexed-heap.ts";
import type { SlotView } from "./server-slots.ts";

/** Above it the turns begin again at 0, so that their numbers stay exact to a millionth of a pick. */
const LARGEST_TIME = 2 ** 30;

/**
 * Whose turn it is among the servers of one array, by earliest deadline first. Time is counted in picks: a server of
 * weight w among weights that sum up to W is due every W / w picks, and at each pick the one that is due first is
 * chosen.
 */
export class Turns {
  readonly #intervals: Float64Array;
  readonly #dueAt: Float64Array;
  readonly #heap: IndexedHeap;
  #now = 0;

  /** @param phaseOf how much of its interval each server has to wait first, above 0 and at most 1 */
  constructor({ slots, weights, totalWeight }: SlotView, phaseOf: (slot: number) => number) {
    this.#intervals = weights.map((weight) => totalWeight / weight);
    this.#dueAt = new Float64Array(slots.length);
    for (let at = 0; at < slots.length; at++) {
      if ((weights[at] as number) === 0) continue;
      this.#dueAt[at] = phaseOf(slots[at] as number) * (this.#intervals[at] as number);
    }
    // Of those that are due at the same time the heavier one goes first: it is due again sooner.
    this.#heap = new IndexedHeap(this.#dueAt, this.#intervals, (at) => (weights[at] as number) > 0);
  }

  /** The position of the server whose turn it is. */
  next(): number {
    const at = this.#heap.top ?? 0;
    const dueAt = this.#dueAt[at] as number;
    this.#now = Math.max(this.#now, dueAt);
    this.#dueAt[at] = dueAt + (this.#intervals[at] as number);
    this.#heap.moved(at);
    if (this.#now > LARGEST_TIME) this.#beginAgain();
    return at;
  }

  /** How much of its interval the server at this position still has to wait, from 0 to 1. */
  phaseAt(at: number): number {
    const left = (this.#dueAt[at] as number) - this.#now;
    return Math.min(Math.max(left / (this.#intervals[at] as number), 0), 1);
  }

  /** All are due as much earlier, so that their order stays. */
  #beginAgain(): void {
    for (let at = 0; at < this.#dueAt.length; at++) this.#dueAt[at] = (this.#dueAt[at] as number) - this.#now;
    this.#now = 0;
  }
}
