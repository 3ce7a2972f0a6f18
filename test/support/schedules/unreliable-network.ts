import type { Loss, Network, StreamPath } from "../../../testing/fake-etcd/index.ts";
import type { Seeded } from "../seeded.ts";
import { APART_MS, type VirtualProcess } from "./virtual-process.ts";
import type { VirtualTime } from "./virtual-time.ts";
import { calm, type Weather } from "./weather.ts";

const LONGEST_WAY_MS = { usual: 3.1, slow: 1_000, late: 10_000 };
/** So long after it went mute a stream is found out, by pings, which are not here. */
const FOUND_OUT_MS = 4_000;

interface Stream {
  break(): void;
}

/**
 * The network of one process, by chance: each call and each answer has its own way, so they overtake each other; a
 * stream keeps its order, lags and breaks. It can be cut: what is under way is lost, connections are refused, and so on
 * until it is repaired.
 */
export class UnreliableNetwork implements Network {
  #weather: Weather = calm;
  readonly #time: VirtualTime;
  readonly #process: VirtualProcess;
  readonly #random: Seeded;
  readonly #streams = new Set<Stream>();
  #longestWayMs = LONGEST_WAY_MS.usual;
  #cutUntilMs = 0;
  #isSilent = false;

  constructor(time: VirtualTime, process: VirtualProcess, random: Seeded) {
    this.#time = time;
    this.#process = process;
    this.#random = random;
  }

  get weather(): Weather {
    return this.#weather;
  }

  set weather(weather: Weather) {
    this.#weather = weather;
    this.#longestWayMs = Math.max(this.#longestWayMs, longestWayMs(weather));
  }

  /** How long ago an answer left etcd, at most, that the process hears just now. */
  get oldestAnswerMs(): number {
    return this.#longestWayMs + this.#process.stoodStillMs;
  }

  get isCut(): boolean {
    return this.#time.nowMs < this.#cutUntilMs;
  }

  /** `refused`: connections break, and new ones fail. `silent`: what is sent meanwhile is lost without a notice. */
  cut(ms: number, how: "refused" | "silent"): void {
    this.#cutUntilMs = this.#time.nowMs + ms;
    this.#isSilent = how === "silent";
    if (how === "refused") this.breakStreams();
  }

  get #holeIsBlack(): boolean {
    return this.isCut && this.#isSilent;
  }

  mend(): void {
    this.#cutUntilMs = 0;
  }

  breakStreams(): void {
    for (const stream of [...this.#streams]) stream.break();
  }

  request(arrive: () => void, lose: (how: Loss) => void): void {
    const { refused, lostRequest, silent } = this.weather;
    if (this.#holeIsBlack || this.#process.isKilled) return;
    if (this.isCut || this.#chance(refused)) this.#toClient(() => lose("neverLeft"));
    else if (this.#chance(lostRequest)) this.#toClient(() => lose("broken"));
    else if (!this.#chance(silent)) this.#time.after(this.#wayMs(), arrive);
  }

  answer(arrive: () => void, lose: (how: Loss) => void): void {
    if (this.#holeIsBlack) return;
    if (this.isCut || this.#chance(this.weather.lostAnswer)) this.#toClient(() => lose("broken"));
    else if (!this.#chance(this.weather.silent)) this.#toClient(arrive);
  }

  async connect(limitMs: number, broke: () => void): Promise<StreamPath | undefined> {
    const fails = this.isCut || this.#chance(this.weather.refused);
    const wayMs = this.#holeIsBlack || (fails && this.#chance(0.5)) ? limitMs : Math.min(limitMs, this.#wayMs());
    await new Promise<void>((resolve) => {
      this.#time.after(wayMs, () => this.#process.run(resolve));
    });
    return fails || this.isCut || wayMs === limitMs ? undefined : this.#stream(broke);
  }

  #stream(broke: () => void): StreamPath {
    let open = true;
    let muted = false;
    const stream: Stream = {
      break: () => {
        if (!open) return;
        close();
        this.#toClient(broke);
      },
    };
    const close = () => {
      open = false;
      this.#streams.delete(stream);
    };
    const inOrder = (deliver: (arrive: () => void) => void) => {
      let lastMs = 0;
      return (arrive: () => void) => {
        if (!open || this.#process.isKilled) return;
        if (this.#chance(this.weather.brokenStream)) {
          stream.break();
          return;
        }
        if (muted) return;
        muted = this.#holeIsBlack || this.#chance(this.weather.mutedStream);
        if (muted) {
          this.#time.after(FOUND_OUT_MS, () => stream.break());
          return;
        }
        lastMs = Math.max(lastMs + APART_MS, this.#time.nowMs + this.#wayMs());
        this.#time.after(lastMs - this.#time.nowMs, () =>
          deliver(() => {
            if (open) arrive();
          }),
        );
      };
    };
    this.#streams.add(stream);
    return { toServer: inOrder((arrive) => arrive()), toClient: inOrder(this.#process.lane()), close };
  }

  #toClient(happen: () => void): void {
    this.#time.after(this.#wayMs(), () => this.#process.run(happen));
  }

  #wayMs(): number {
    const random = this.#random;
    const { usual, slow, late } = LONGEST_WAY_MS;
    if (this.#chance(this.weather.late)) return slow + random.next() * (late - slow);
    if (this.#chance(this.weather.slow)) return random.next() * slow;
    return 0.1 + random.next() * (usual - 0.1);
  }

  #chance(probability: number): boolean {
    return probability > 0 && this.#random.chance(probability);
  }
}

function longestWayMs({ slow, late }: Weather): number {
  if (late > 0) return LONGEST_WAY_MS.late;
  return slow > 0 ? LONGEST_WAY_MS.slow : LONGEST_WAY_MS.usual;
}
