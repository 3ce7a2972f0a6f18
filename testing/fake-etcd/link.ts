import { type Clock, systemClock, type Timer } from "../../src/internal/index.ts";
import { type Network, reliableNetwork, type StreamPath } from "./network.ts";

/** What is on its way. */
interface Carried {
  /** The connection breaks under it. */
  lose(): void;
}

/**
 * The way of a client to an etcd in memory. It can be cut: what was open breaks, and nothing leaves until it is joined
 * again. What goes through takes half of `latencyMs` in each direction; without latency, a turn of the microtasks.
 */
export class Link implements Network {
  /** How long a call takes, to etcd and back, in milliseconds. */
  latencyMs = 0;
  readonly #clock: Clock;
  #cut = false;
  readonly #open = new Set<() => void>();
  readonly #carried = new Set<Carried>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  cut(): void {
    this.#cut = true;
    this.break();
  }

  /** Breaks what is open and what is on its way, once; it stays cut or joined as it is. */
  break(): void {
    for (const { lose } of [...this.#carried]) lose();
    for (const broke of [...this.#open]) broke();
    this.#open.clear();
  }

  join(): void {
    this.#cut = false;
  }

  request(...[arrive, lose]: Parameters<Network["request"]>): void {
    if (this.#isLate) this.#carry(arrive, () => lose("broken"));
    else reliableNetwork.request(() => (this.#cut ? lose("neverLeft") : arrive()), lose);
  }

  answer(...[arrive, lose]: Parameters<Network["answer"]>): void {
    if (this.#isLate) this.#carry(arrive, () => lose("broken"));
    else reliableNetwork.answer(() => (this.#cut ? lose("broken") : arrive()), lose);
  }

  async connect(...[limitMs, broke]: Parameters<Network["connect"]>): ReturnType<Network["connect"]> {
    const path = this.#cut ? undefined : await reliableNetwork.connect(limitMs, broke);
    if (!path) return undefined;
    const { toServer, toClient, close } = path;
    // It may have been cut meanwhile, and must not seem open to its end.
    if (this.#cut) {
      close();
      return undefined;
    }
    this.#open.add(broke);
    const [there, back] = [new Lane(this.#clock), new Lane(this.#clock)];
    const late: StreamPath = {
      toServer: (arrive) => there.carry(this.latencyMs / 2, () => toServer(arrive)),
      toClient: (arrive) => back.carry(this.latencyMs / 2, () => toClient(arrive)),
      close: () => {
        this.#open.delete(broke);
        there.clear();
        back.clear();
        close();
      },
    };
    return late;
  }

  /** While it is cut nothing leaves, so nothing is late. */
  get #isLate(): boolean {
    return this.latencyMs > 0 && !this.#cut;
  }

  #carry(arrive: () => void, lose: () => void): void {
    const timer = this.#clock.timer(this.latencyMs / 2, () => {
      this.#carried.delete(carried);
      arrive();
    });
    const carried: Carried = {
      lose: () => {
        this.#carried.delete(carried);
        timer.cancel();
        lose();
      },
    };
    this.#carried.add(carried);
  }
}

/** One direction of a stream: what went in first comes out first, also when the latency shrinks. */
class Lane {
  readonly #clock: Clock;
  readonly #waiting: (() => void)[] = [];
  readonly #timers = new Set<Timer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  carry(delayMs: number, arrive: () => void): void {
    if (delayMs === 0 && this.#waiting.length === 0) {
      arrive();
      return;
    }
    this.#waiting.push(arrive);
    const timer = this.#clock.timer(delayMs, () => {
      this.#timers.delete(timer);
      this.#waiting.shift()?.();
    });
    this.#timers.add(timer);
  }

  clear(): void {
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#waiting.length = 0;
  }
}
