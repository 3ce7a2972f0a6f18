interface Waiter {
  resolve(roundTripMs: number): void;
  reject(reason: Error): void;
}

/** What the peer was asked for as a sign of life, and who waits for it. */
export class Pings {
  readonly #waiters: Waiter[] = [];
  /** When each SETTINGS was sent that is not acknowledged: they are, in order. */
  readonly #settingsMs: number[] = [];
  #pingMs = 0;
  readonly #payload = Buffer.alloc(8);
  sent = 0;

  get wanted(): boolean {
    return this.#waiters.length > 0;
  }

  wait(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  settingsSent(nowMs: number): void {
    this.#settingsMs.push(nowMs);
  }

  /** @returns the payload of the next PING */
  pingSent(nowMs: number): Buffer {
    this.sent++;
    this.#pingMs = nowMs;
    this.#payload.writeUInt32BE(this.sent >>> 0, 4);
    return this.#payload;
  }

  settingsAnswered(nowMs: number): void {
    const sentMs = this.#settingsMs.shift();
    if (sentMs !== undefined) this.#resolve(nowMs - sentMs);
  }

  /** @returns whether it answers the last one */
  pingAnswered(payload: Buffer, nowMs: number): boolean {
    if (this.sent === 0 || !payload.equals(this.#payload)) return false;
    this.#resolve(nowMs - this.#pingMs);
    return true;
  }

  reject(reason: Error): void {
    for (const { reject } of this.#waiters.splice(0)) reject(reason);
  }

  #resolve(roundTripMs: number): void {
    for (const { resolve } of this.#waiters.splice(0)) resolve(roundTripMs);
  }
}
