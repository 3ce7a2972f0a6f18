interface Waiter {
  /** The first question whose answer is one for this waiter. */
  readonly question: number;
  resolve(roundTripMs: number): void;
  reject(reason: Error): void;
}

interface Question {
  readonly number: number;
  readonly sentMs: number;
}

/** What the peer was asked for as a sign of life, and who waits for the answer. */
export class Pings {
  readonly #waiters = new Set<Waiter>();
  /** Each SETTINGS that is not acknowledged: they are, in order. The first one of all is no question. */
  readonly #settings: Question[] = [];
  #ping: Question | undefined;
  #asked = 0;
  readonly #payload = Buffer.alloc(8);
  sent = 0;

  get wanted(): boolean {
    return this.#waiters.size > 0;
  }

  /** Waits for the answer of the last question, if that is still to come, or of the next one. */
  wait(): Promise<number> {
    const isOpen = this.#ping?.number === this.#asked || this.#settings.at(-1)?.number === this.#asked;
    const question = isOpen && this.#asked > 0 ? this.#asked : this.#asked + 1;
    return new Promise((resolve, reject) => {
      this.#waiters.add({ question, resolve, reject });
    });
  }

  /** The settings of the beginning were sent. */
  greeted(nowMs: number): void {
    this.#settings.push({ number: 0, sentMs: nowMs });
  }

  settingsSent(nowMs: number): void {
    this.#settings.push({ number: ++this.#asked, sentMs: nowMs });
  }

  /** @returns the payload of the next PING */
  pingSent(nowMs: number): Buffer {
    this.sent++;
    this.#ping = { number: ++this.#asked, sentMs: nowMs };
    this.#payload.writeUInt32BE(this.sent >>> 0, 4);
    return this.#payload;
  }

  settingsAnswered(nowMs: number): void {
    const question = this.#settings.shift();
    if (question !== undefined) this.#resolve(question, nowMs);
  }

  /** @returns whether it answers the last one */
  pingAnswered(payload: Buffer, nowMs: number): boolean {
    const question = this.#ping;
    if (question === undefined || !payload.equals(this.#payload)) return false;
    this.#ping = undefined;
    this.#resolve(question, nowMs);
    return true;
  }

  reject(reason: Error): void {
    for (const { reject } of this.#waiters) reject(reason);
    this.#waiters.clear();
  }

  #resolve({ number, sentMs }: Question, nowMs: number): void {
    for (const waiter of this.#waiters) {
      if (waiter.question > number) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(nowMs - sentMs);
    }
  }
}
