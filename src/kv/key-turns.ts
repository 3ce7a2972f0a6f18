/**
 * Lets calls that use the same key go one after the other, in the order in which they came. Each has all its keys or
 * waits, and it is in line for all of them from the beginning, so two can never wait for each other.
 */
export class KeyTurns<Call extends { readonly keys: readonly string[] }> {
  /** The keys in use, each with the calls in line for it. */
  readonly #inLine = new Map<string, Call[]>();
  /** For how many of its keys a call is still in line. */
  readonly #missing = new Map<Call, number>();

  /** @returns whether it has all its keys now; otherwise `leave()` says so later */
  enter(call: Call): boolean {
    let missing = 0;
    for (const key of call.keys) {
      const line = this.#inLine.get(key);
      if (line) {
        line.push(call);
        missing++;
      } else this.#inLine.set(key, []);
    }
    if (missing > 0) this.#missing.set(call, missing);
    return missing === 0;
  }

  /** Of a call that has all its keys. @returns those that have all theirs from now on */
  leave(call: Call): readonly Call[] {
    const ready: Call[] = [];
    for (const key of call.keys) {
      const next = this.#inLine.get(key)?.shift();
      if (!next) {
        this.#inLine.delete(key);
        continue;
      }
      const missing = (this.#missing.get(next) ?? 1) - 1;
      if (missing > 0) {
        this.#missing.set(next, missing);
        continue;
      }
      this.#missing.delete(next);
      ready.push(next);
    }
    return ready;
  }
}
