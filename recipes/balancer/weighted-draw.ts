import type { SlotIndex } from "./slot-view.ts";
import { roomFor } from "./typed-arrays.ts";

/** Servers whose weight is at most `bound`, and above half of it. */
interface WeightClass {
  readonly bound: number;
  readonly slots: number[];
}

/** By then all were refused with a probability of 2^−64: the random numbers are no random numbers. */
const MOST_TRIES = 64;

/**
 * Draws one of some servers at random, in proportion to their weights, in O(1) for a change and, on average, for a
 * draw.
 *
 * Servers stand in classes by the power of two above their weight. A class is drawn as if each of its servers had the
 * weight of the bound, then a server of it, which is accepted with the probability of its weight over the bound: half
 * of all tries at least. No sum of weights is kept, so nothing is lost to rounding, however weights change.
 */
export class WeightedDraw implements SlotIndex {
  /** Those that have a server, the heaviest first. */
  readonly #classes: WeightClass[] = [];
  readonly #classOf: (WeightClass | undefined)[] = [];
  #weights = new Float64Array(0);
  #places = new Int32Array(0);
  #size = 0;
  /** As if each had the weight of the bound of its class. */
  #total = 0;

  get size(): number {
    return this.#size;
  }

  /** A typical weight: between the mean and twice that. */
  get typicalWeight(): number {
    return this.#total / this.#size;
  }

  weightOf(slot: number): number {
    return this.#weights[slot] as number;
  }

  set(slot: number, weight: number): void {
    const bound = 2 ** Math.ceil(Math.log2(weight));
    if (this.#classOf[slot]?.bound !== bound) {
      this.delete(slot);
      const weights = this.#classFor(bound);
      this.#places = roomFor(this.#places, slot);
      this.#places[slot] = weights.slots.push(slot) - 1;
      while (this.#classOf.length <= slot) this.#classOf.push(undefined);
      this.#classOf[slot] = weights;
      this.#size++;
      this.#sum();
    }
    this.#weights = roomFor(this.#weights, slot);
    this.#weights[slot] = weight;
  }

  delete(slot: number): void {
    const weights = this.#classOf[slot];
    if (!weights) return;
    this.#classOf[slot] = undefined;
    this.#size--;
    const last = weights.slots.pop() as number;
    if (last !== slot) {
      weights.slots[this.#places[slot] as number] = last;
      this.#places[last] = this.#places[slot] as number;
    }
    if (weights.slots.length === 0) this.#classes.splice(this.#classes.indexOf(weights), 1);
    this.#sum();
  }

  /**
   * One of them, by `random`, a number in [0, 1); there is at least one.
   *
   * @param except one that is not to be drawn, as long as there is another
   */
  draw(random: () => number, except = -1): number {
    const excepted = except >= 0 && this.#size > 1 ? this.#classOf[except] : undefined;
    const total = excepted ? this.#total - excepted.bound : this.#total;
    let slot = -1;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      let left = random() * total;
      for (const { bound, slots } of this.#classes) {
        const isShort = excepted?.slots === slots;
        const count = isShort ? slots.length - 1 : slots.length;
        const span = count * bound;
        if (left >= span) {
          left -= span;
          continue;
        }
        const which = Math.min(Math.floor(left / bound), count - 1);
        // The excepted one is passed over.
        slot = slots[isShort && which >= (this.#places[except] as number) ? which + 1 : which] as number;
        if (left - which * bound < (this.#weights[slot] as number)) return slot;
        break;
      }
    }
    if (slot >= 0) return slot;
    // Rounding has led past the last.
    return (this.#classes.at(-1) as WeightClass).slots.find((each) => each !== except) ?? except;
  }

  #classFor(bound: number): WeightClass {
    const at = this.#classes.findIndex((weights) => weights.bound <= bound);
    const known = this.#classes[at];
    if (known?.bound === bound) return known;
    const added = { bound, slots: [] };
    this.#classes.splice(at < 0 ? this.#classes.length : at, 0, added);
    return added;
  }

  /** Anew each time: a difference would keep the rounding errors of what is gone. */
  #sum(): void {
    this.#total = 0;
    for (const { bound, slots } of this.#classes) this.#total += bound * slots.length;
  }
}
