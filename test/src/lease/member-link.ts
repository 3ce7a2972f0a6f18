import type { MemoryEndpoint, Network, StreamPath } from "../../../testing/fake-etcd/index.ts";
import type { FakeClock } from "../../support/fake-clock.ts";

/** `refused`: connections break, and new ones fail. `silent`: nothing goes through until it is up again. */
export type LinkState = "up" | "refused" | "silent";

/** The link to one member, for streams, on a clock that is moved by hand. */
export class MemberLink implements Network, MemoryEndpoint {
  readonly url: string;
  latencyMs: number;
  readonly #clock: FakeClock;
  readonly #streams = new Set<() => void>();
  readonly #waiting: (() => void)[] = [];
  #state: LinkState = "up";

  constructor(clock: FakeClock, url: string, latencyMs: number) {
    this.#clock = clock;
    this.url = url;
    this.latencyMs = latencyMs;
  }

  get network(): Network {
    return this;
  }

  set(state: LinkState): void {
    this.#state = state;
    if (state === "silent") return;
    for (const arrive of this.#waiting.splice(0)) arrive();
    if (state === "refused") for (const breaks of [...this.#streams]) breaks();
  }

  request(arrive: () => void): void {
    this.#bring(arrive);
  }

  answer(arrive: () => void): void {
    this.#bring(arrive);
  }

  async connect(limitMs: number, broke: () => void): Promise<StreamPath | undefined> {
    const connected = await new Promise<boolean>((resolve) => {
      const limit = this.#clock.timer(limitMs, () => resolve(false));
      this.#bring(() => {
        limit.cancel();
        resolve(this.#state === "up");
      });
    });
    if (!connected) return undefined;
    const close = () => this.#streams.delete(breaks);
    const breaks = () => {
      if (close()) broke();
    };
    this.#streams.add(breaks);
    const bring = (arrive: () => void) =>
      this.#bring(() => {
        if (this.#streams.has(breaks)) arrive();
      });
    return { toServer: bring, toClient: bring, close };
  }

  /** A latency later, or when the link is up again. */
  #bring(arrive: () => void): void {
    this.#clock.timer(this.latencyMs, () => {
      if (this.#state === "silent") this.#waiting.push(arrive);
      else arrive();
    });
  }
}
