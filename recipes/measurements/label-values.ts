/** So many prefixes, queues or elections of a process have a series of their own. */
const MOST_VALUES = 100;

/** Bounds the values of a label: what comes after the first hundred is `other`. */
export class LabelValues {
  readonly #known = new Set<string>();

  of(value: string): string {
    if (this.#known.has(value)) return value;
    if (this.#known.size >= MOST_VALUES) return "other";
    this.#known.add(value);
    return value;
  }
}
