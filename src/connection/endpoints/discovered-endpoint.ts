import type { Clock } from "../../internal/clock.ts";
import type { Endpoint, Lane } from "./endpoint.ts";
import type { EndpointChannel } from "./endpoint-channel.ts";

/**
 * Stands for the members of a domain until DNS has named them. What connects to it first waits for that, and is then
 * led to one of them; whatever is said of it later is said of that one.
 */
export class DiscoveredEndpoint implements Endpoint {
  readonly url: string;
  readonly #discover: (lane: Lane, waitMs: number) => Promise<Endpoint>;
  readonly #clock: Clock;
  #found: Endpoint | undefined;

  /** @param discover rejects with UnavailableError when no member is known within `waitMs` */
  constructor(url: string, clock: Clock, discover: (lane: Lane, waitMs: number) => Promise<Endpoint>) {
    this.url = url;
    this.#clock = clock;
    this.#discover = discover;
  }

  get avoidUntilMs(): number {
    return this.#found?.avoidUntilMs ?? 0;
  }

  async connect(lane: Lane, waitMs: number): Promise<EndpointChannel> {
    const untilMs = this.#clock.monotonicMs() + waitMs;
    this.#found = await this.#discover(lane, waitMs);
    return this.#found.connect(lane, Math.max(1, untilMs - this.#clock.monotonicMs()));
  }

  open(lane: Lane): EndpointChannel | undefined {
    return this.#found?.open(lane);
  }

  drop(lane: Lane, channel?: EndpointChannel): void {
    this.#found?.drop(lane, channel);
  }

  memberFailed(lane: Lane, channel: EndpointChannel): void {
    this.#found?.memberFailed(lane, channel);
  }

  failed(): void {
    this.#found?.failed();
  }

  succeeded(lane: Lane): void {
    this.#found?.succeeded(lane);
  }

  /** Calls and streams that were led on are those of the member. */
  retire(): void {}

  close(): void {}
}
