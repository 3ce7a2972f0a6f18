const MOST = 1_000;

/** The keys that last were better sent alone; of many, those longest ago are forgotten. */
export class KeysSentAlone {
  readonly #keys = new Set<string>();

  get any(): boolean {
    return this.#keys.size > 0;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  add(key: string): void {
    this.#keys.delete(key);
    this.#keys.add(key);
    if (this.#keys.size <= MOST) return;
    for (const oldest of this.#keys) {
      this.#keys.delete(oldest);
      return;
    }
  }
}
