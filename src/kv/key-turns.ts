/** Keys by what a call does with them. */
export interface UsedKeys {
  /** No call that uses one of these is under way with this one. */
  readonly written: readonly string[];
  /** Compared or read, and not written: any number of calls may do that at the same time. */
  readonly seen: readonly string[];
}

/** Those who have a key now, and those who wait for it. */
interface Line<Call> {
  holders: number;
  isWritten: boolean;
  readonly waiting: { readonly call: Call; readonly writes: boolean }[];
}

/**
 * Lets calls of which one writes a key that the other uses go one after the other, in the order in which they came.
 * Each has all its keys or waits, and it is in line for all of them from the beginning, so two can never wait for each
 * other.
 */
export class KeyTurns<Call extends { readonly keys: UsedKeys }> {
  /** The keys in use. */
  readonly #lines = new Map<string, Line<Call>>();
  /** For how many of its keys a call is still in line. */
  readonly #missing = new Map<Call, number>();

  /** @returns whether it has all its keys now; otherwise `leave()` says so later */
  enter(call: Call): boolean {
    let missing = 0;
    for (const key of call.keys.written) if (!this.#enter(key, call, true)) missing++;
    for (const key of call.keys.seen) if (!this.#enter(key, call, false)) missing++;
    if (missing > 0) this.#missing.set(call, missing);
    return missing === 0;
  }

  /** Of a call that has all its keys. @returns those that have all theirs from now on */
  leave(call: Call): readonly Call[] {
    const ready: Call[] = [];
    for (const key of call.keys.written) this.#leave(key, ready);
    for (const key of call.keys.seen) this.#leave(key, ready);
    return ready;
  }

  #enter(key: string, call: Call, writes: boolean): boolean {
    const line = this.#lines.get(key);
    if (!line) this.#lines.set(key, { holders: 1, isWritten: writes, waiting: [] });
    else if (writes || line.isWritten || line.waiting.length > 0) line.waiting.push({ call, writes });
    else line.holders++;
    return !line || line.waiting.at(-1)?.call !== call;
  }

  #leave(key: string, ready: Call[]): void {
    const line = this.#lines.get(key);
    if (!line || --line.holders > 0) return;
    if (line.waiting.length === 0) {
      this.#lines.delete(key);
      return;
    }
    line.isWritten = line.waiting[0]?.writes === true;
    // One that writes, or all that only look, up to the next one that writes.
    do {
      line.holders++;
      this.#gotKey(line.waiting.shift()?.call as Call, ready);
    } while (!line.isWritten && line.waiting[0]?.writes === false);
  }

  #gotKey(call: Call, ready: Call[]): void {
    const missing = (this.#missing.get(call) ?? 1) - 1;
    if (missing > 0) {
      this.#missing.set(call, missing);
      return;
    }
    this.#missing.delete(call);
    ready.push(call);
  }
}
