import type { KeyValue } from "../../src/model/key-value.ts";

interface State {
  readonly revision: number;
  /** Undefined: it was deleted. */
  readonly kv: KeyValue | undefined;
}

/** All states of one key that were not compacted away, the oldest first. */
export class KeyHistory {
  #states: State[] = [];

  get now(): KeyValue | undefined {
    return this.#states.at(-1)?.kv;
  }

  at(revision: number): KeyValue | undefined {
    for (let index = this.#states.length - 1; index >= 0; index--) {
      const state = this.#states[index] as State;
      if (state.revision <= revision) return state.kv;
    }
    return undefined;
  }

  change(revision: number, kv: KeyValue | undefined): void {
    this.#states.push({ revision, kv });
  }

  /** Forgets what only a read before `revision` could see. @returns whether anything is left */
  compact(revision: number): boolean {
    const kept = this.#states.findLastIndex((state) => state.revision <= revision);
    if (kept > 0) this.#states = this.#states.slice(kept);
    if (this.#states[0]?.kv === undefined && (this.#states[0]?.revision ?? 0) <= revision) this.#states.shift();
    return this.#states.length > 0;
  }

  /** Forgets what came after `revision`. @returns whether anything is left */
  restore(revision: number): boolean {
    this.#states = this.#states.filter((state) => state.revision <= revision);
    return this.#states.length > 0;
  }
}
