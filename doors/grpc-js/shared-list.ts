import { ClientClosedError, type EtcdClient, SubscribeService } from "../../recipes/index.ts";
import type { ChannelListener } from "./channel-listener.ts";
import { endpointsOf } from "./endpoints.ts";
import type { GrpcEndpoint } from "./grpc-api.ts";
import type { RefusedAddresses } from "./refused-addresses.ts";

/** A list that ended, for a missing permission for instance, is asked for again after this time. */
const RETRY_MS = 5_000;

/** The list under one prefix, for all channels that are on it: one subscription, from the first channel to the last. */
export class SharedList {
  readonly #prefix: string;
  readonly #client: EtcdClient | undefined;
  readonly #refused: RefusedAddresses;
  readonly #channels = new Set<ChannelListener>();
  #services: SubscribeService | undefined;
  /** As `#services` has it; undefined before it is there. */
  #list: { readonly servers: readonly GrpcEndpoint[]; readonly note: string } | undefined;
  /** Why the last subscription ended, until the next one has a list. */
  #failure: string | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(prefix: string, client: EtcdClient | undefined, refused: RefusedAddresses) {
    this.#prefix = prefix;
    this.#client = client;
    this.#refused = refused;
  }

  /** Gives a channel the list, now if there is one, and whenever it changes. It is never called within this call. */
  join(channel: ChannelListener): void {
    this.#channels.add(channel);
    if (!this.#services && !this.#retry) this.#open();
    setImmediate(() => this.#give([channel]));
  }

  /**
   * Gives a channel that asks again what it has its calls fail for. A connection that round_robin was making when the
   * list became empty ends some 250 ms later, and with it what round_robin remembers: from then on calls would wait.
   */
  repeat(channel: ChannelListener): void {
    const isEmpty = this.#list?.servers.length === 0;
    if (isEmpty || this.#failure !== undefined) setImmediate(() => this.#give([channel]));
  }

  /** @returns whether that was the last one: then nothing is followed any more */
  leave(channel: ChannelListener): boolean {
    this.#channels.delete(channel);
    if (this.#channels.size > 0) return false;
    this.#end();
    return true;
  }

  /** Ends it. Channels keep the list that they have; those that have none hear why. */
  close(reason: string): void {
    for (const channel of this.#channels) channel.fail(reason);
    this.#channels.clear();
    this.#end();
  }

  #end(): void {
    clearTimeout(this.#retry);
    void this.#services?.close();
    this.#services = undefined;
  }

  #open(): void {
    this.#retry = undefined;
    try {
      const services = new SubscribeService(this.#prefix, this.#client ? { client: this.#client } : {});
      this.#services = services;
      services.on("change", () => this.#changed(services));
      services.on("failed", (error) => this.#failed(error));
      // An empty list changes nothing.
      services.ready.then(
        () => this.#list || this.#changed(services),
        () => {},
      );
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  #changed(services: SubscribeService): void {
    if (services !== this.#services) return;
    const list = services.list();
    const { endpoints, refused } = endpointsOf(list);
    this.#refused.warn(this.#prefix, refused);
    const callable = endpoints.length > 0 || list.length === 0 ? "" : ", and none of them may be called";
    const note = `the list under ${JSON.stringify(this.#prefix)} has ${list.length} servers${callable}`;
    this.#list = { servers: endpoints, note };
    this.#failure = undefined;
    this.#give(this.#channels);
  }

  #failed(error: Error): void {
    if (this.#channels.size === 0) return;
    this.#services = undefined;
    this.#list = undefined;
    this.#failure = `${this.#prefix}: ${error.message}`;
    if (!(error instanceof ClientClosedError)) this.#retry = setTimeout(() => this.#open(), RETRY_MS).unref();
    // It can be within `join()`.
    setImmediate(() => this.#give(this.#channels));
  }

  #give(channels: Iterable<ChannelListener>): void {
    for (const channel of [...channels]) {
      if (!this.#channels.has(channel)) continue;
      if (this.#list) channel.give(this.#list.servers, this.#list.note);
      else if (this.#failure !== undefined) channel.fail(this.#failure);
    }
  }
}
