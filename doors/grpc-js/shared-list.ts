import { ClientClosedError, type EtcdClient, SubscribeService } from "../../recipes/index.ts";
import { endpointsOf } from "./endpoints.ts";
import { type GrpcListener, giveEndpoints, giveFailure } from "./grpc-api.ts";

/** A list that ended, for a missing permission for instance, is asked for again after this time. */
const RETRY_MS = 5_000;

/** The list under one prefix, for all channels that are on it: one subscription, from the first channel to the last. */
export class SharedList {
  readonly #prefix: string;
  readonly #client: EtcdClient | undefined;
  readonly #metadata: () => unknown;
  readonly #listeners = new Set<GrpcListener>();
  #services: SubscribeService | undefined;
  #failure: string | undefined;
  #listed = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(prefix: string, client: EtcdClient | undefined, metadata: () => unknown) {
    this.#prefix = prefix;
    this.#client = client;
    this.#metadata = metadata;
  }

  /** Gives a channel the list, now if there is one, and whenever it changes. It is never called within this call. */
  join(listener: GrpcListener): void {
    this.#listeners.add(listener);
    if (!this.#services && !this.#retry) this.#open();
    else if (this.#listed || this.#failure !== undefined) {
      setImmediate(() => {
        if (this.#listeners.has(listener)) this.#give([listener]);
      });
    }
  }

  /** @returns whether that was the last one: then nothing is followed any more */
  leave(listener: GrpcListener): boolean {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return false;
    this.close();
    return true;
  }

  close(): void {
    clearTimeout(this.#retry);
    this.#listeners.clear();
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
        () => this.#listed || this.#changed(services),
        () => {},
      );
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  #changed(services: SubscribeService): void {
    if (services !== this.#services) return;
    this.#listed = true;
    this.#failure = undefined;
    this.#give(this.#listeners);
  }

  #failed(error: Error): void {
    if (this.#listeners.size === 0) return;
    this.#services = undefined;
    this.#failure = `${this.#prefix}: ${error.message}`;
    if (!(error instanceof ClientClosedError)) this.#retry = setTimeout(() => this.#open(), RETRY_MS).unref();
    this.#give(this.#listeners);
  }

  #give(listeners: Iterable<GrpcListener>): void {
    const list = this.#services?.list();
    for (const listener of [...listeners]) {
      if (list) {
        const note = `the list under ${JSON.stringify(this.#prefix)} has ${list.length} servers`;
        giveEndpoints(listener, endpointsOf(list), note);
      } else giveFailure(listener, this.#failure ?? "", this.#metadata());
    }
  }
}
