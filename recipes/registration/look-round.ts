import type { Clock, Timer } from "../../src/internal/index.ts";
import { LOOK_AGAIN_MS } from "../follow/index.ts";

/** So many looks are begun in that time, each at a part of the keys. */
const PARTS = 30;

export interface LookedAt {
  look(): void;
}

const ofClients = new WeakMap<object, LookRound>();

/** Has all keys of a client's registrations looked at again and again, a part of them each second, by one timer. */
export class LookRound {
  readonly #clock: Clock;
  readonly #parts = Array.from({ length: PARTS }, () => new Set<LookedAt>());
  #size = 0;
  #next = 0;
  #added = 0;
  #timer: Timer | undefined;

  private constructor(clock: Clock) {
    this.#clock = clock;
  }

  static of(client: object, clock: Clock): LookRound {
    const known = ofClients.get(client);
    if (known) return known;
    const round = new LookRound(clock);
    ofClients.set(client, round);
    return round;
  }

  /** @returns takes it out again */
  add(looked: LookedAt): () => void {
    const part = this.#parts[this.#added++ % PARTS] as Set<LookedAt>;
    part.add(looked);
    this.#size++;
    this.#timer ??= this.#wait();
    return () => {
      if (!part.delete(looked)) return;
      this.#size--;
      if (this.#size > 0) return;
      this.#timer?.cancel();
      this.#timer = undefined;
    };
  }

  #wait(): Timer {
    return this.#clock.timer(LOOK_AGAIN_MS / PARTS, () => {
      this.#timer = this.#wait();
      this.#next = (this.#next + 1) % PARTS;
      for (const looked of [...(this.#parts[this.#next] as Set<LookedAt>)]) looked.look();
    });
  }
}
