import { Heap, type HeapEntry } from "../../../src/internal/heap.ts";
import type { Timer } from "../../../src/internal/index.ts";

/** Time that passes from one thing to the next one that was to happen, and not in between. */
export class VirtualTime {
  readonly #next = new Heap<() => void>();
  #nowMs = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  /** How much is still to happen. */
  get pending(): number {
    return this.#next.size;
  }

  after(delayMs: number, happen: () => void): Timer {
    let entry: HeapEntry<() => void> | undefined;
    const cancel = () => {
      if (entry) this.#next.remove(entry);
      entry = undefined;
    };
    const fire = () => {
      entry = undefined;
      happen();
    };
    entry = this.#next.add(fire, this.#nowMs + Math.max(0, delayMs));
    const timer: Timer = { cancel, unref: () => timer };
    return timer;
  }

  /** Lets the next thing happen. @returns false when nothing is to happen any more */
  step(): boolean {
    const { first } = this.#next;
    if (!first) return false;
    this.#nowMs = Math.max(this.#nowMs, first.key);
    this.#next.remove(first);
    first.value();
    return true;
  }
}
