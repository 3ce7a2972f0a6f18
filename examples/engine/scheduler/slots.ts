/** A limit to how many do something at the same time. */
export class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Waits for a free one, in the order of asking. @throws `signal.reason` */
  async take(signal: AbortSignal): Promise<Slot> {
    const slot = new Slot(
      (it) => this.#take(it),
      () => this.#give(),
    );
    await slot.take(signal);
    return slot;
  }

  async #take(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const turn = () => {
        signal.removeEventListener("abort", stop);
        resolve();
      };
      const stop = () => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1);
        reject(signal.reason);
      };
      signal.addEventListener("abort", stop, { once: true });
      this.#waiting.push(turn);
    });
  }

  #give(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }
}

/** One place of several. */
export class Slot {
  readonly #take: (signal: AbortSignal) => Promise<void>;
  readonly #give: () => void;
  #isHeld = false;

  constructor(take: (signal: AbortSignal) => Promise<void>, give: () => void) {
    this.#take = take;
    this.#give = give;
  }

  async take(signal: AbortSignal): Promise<void> {
    await this.#take(signal);
    this.#isHeld = true;
  }

  /** Calling it again is harmless. */
  free(): void {
    if (this.#isHeld) this.#give();
    this.#isHeld = false;
  }

  /** Others can have it while this waits for something. */
  async lendDuring<T>(signal: AbortSignal, wait: () => Promise<T>): Promise<T> {
    this.free();
    const result = await wait();
    await this.take(signal);
    return result;
  }
}
