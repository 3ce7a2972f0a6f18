/** So many prefixes, queues or elections of a process have a series of their own. */
const MOST_VALUES = 100;

/** Bounds the values of a label: what comes after the first hundred is `other`. */
export class LabelValues {
  readonly #known = new Set<string>();
  readonly #onNew: (label: string) => void;

  /** @param onNew called with each label, `other` included, before it is used for the first time */
  constructor(onNew: (label: string) => void = () => {}) {
    this.#onNew = onNew;
  }

  of(value: string): string {
    const label = this.#known.has(value) || this.#known.size < MOST_VALUES ? value : "other";
    if (!this.#known.has(label)) {
      this.#known.add(label);
      this.#onNew(label);
    }
    return label;
  }
}
