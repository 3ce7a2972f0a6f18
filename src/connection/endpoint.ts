import type { ChannelCredentials } from "@grpc/grpc-js";
import { Backoff } from "../internal/backoff.ts";
import type { Runtime } from "../internal/runtime.ts";
import { EndpointChannel } from "./channel.ts";
import type { EndpointUrl } from "./endpoint-url.ts";

/** Calls and streams have a connection each: a bulk read cannot starve a watch or a renewal (HARDSHIPS 20). */
export type Lane = "calls" | "streams";

/** One etcd server as this client sees it: a channel for each lane, and how it has behaved lately. */
export class Endpoint {
  readonly url: string;
  readonly #parsed: EndpointUrl;
  readonly #credentials: ChannelCredentials;
  readonly #runtime: Runtime;
  readonly #backoff: Backoff;
  readonly #channels = new Map<Lane, EndpointChannel>();
  #avoidUntilMs = 0;
  #closed = false;

  constructor(parsed: EndpointUrl, credentials: ChannelCredentials, runtime: Runtime) {
    this.url = parsed.url;
    this.#parsed = parsed;
    this.#credentials = credentials;
    this.#runtime = runtime;
    this.#backoff = new Backoff(runtime, { initialMs: 250, maxMs: 5_000 });
  }

  /** Until then (monotonic) others are tried before this one. It is still tried when they fail: nothing is ever refused here. */
  get avoidUntilMs(): number {
    return this.#avoidUntilMs;
  }

  /**
   * A channel that is connected. After a failure the channel is dropped, so the next attempt resolves the name anew and
   * does not wait in grpc-js's own backoff.
   *
   * @throws UnavailableError when there is no connection within `limitMs`
   */
  async connect(lane: Lane, limitMs: number): Promise<EndpointChannel> {
    let channel = this.#channels.get(lane);
    if (!channel) {
      channel = new EndpointChannel(this.#parsed, this.#credentials, this.#runtime.clock);
      if (!this.#closed) this.#channels.set(lane, channel);
      else channel.close();
    }
    try {
      await channel.connect(limitMs);
      return channel;
    } catch (error) {
      this.drop(lane, channel);
      throw error;
    }
  }

  /** The lane's next call or stream gets a new connection. What is under way on the old one may still finish. */
  drop(lane: Lane, channel = this.#channels.get(lane)): void {
    if (!channel) return;
    if (this.#channels.get(lane) === channel) this.#channels.delete(lane);
    channel.close();
  }

  /** Many calls that fail together count once. */
  failed(): void {
    const now = this.#runtime.clock.monotonicMs();
    if (now < this.#avoidUntilMs) return;
    this.#avoidUntilMs = now + 250 + this.#backoff.nextMs();
  }

  succeeded(): void {
    this.#avoidUntilMs = 0;
    this.#backoff.succeeded();
  }

  close(): void {
    this.#closed = true;
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }
}
