import type { EventEmitter } from "node:events";
import { ListenerFailedError } from "./errors/listener-failed-error.ts";
import { asError } from "./internal/as-error.ts";
import type { Clock } from "./internal/clock.ts";
import { ProcessWarnings } from "./internal/process-warnings.ts";
import { watchListeners } from "./internal/watch-listeners.ts";

/** The events of a client: what happens to its connections. */
export interface ClientEvents {
  /** The client is connected to an endpoint that it was not connected to. */
  connected: [endpoint: string];
  /** Its last connection to an endpoint is over. The next call or stream makes another, there or elsewhere. */
  disconnected: [endpoint: string, reason: Error];
}

type AnyListener = (...args: unknown[]) => unknown;

/**
 * Brings the events of connections to the clients that share them. A listener cannot hurt the connection: what it
 * throws, or rejects with, becomes a warning of the process. A client without listeners is not held.
 */
export class ClientNotices {
  readonly #listening = new Set<EventEmitter>();
  readonly #warnings: ProcessWarnings;

  constructor(clock: Clock) {
    this.#warnings = new ProcessWarnings(clock);
  }

  /** From now on `client` emits the events, while it has a listener for one of them. */
  attach(client: EventEmitter): void {
    const isHeard = () => client.listenerCount("connected") + client.listenerCount("disconnected") > 0;
    const added = (name: string | symbol) => {
      if (name === "connected" || name === "disconnected") this.#listening.add(client);
    };
    const removed = () => {
      if (!isHeard()) this.#listening.delete(client);
    };
    watchListeners(client, added, removed);
  }

  emit<Name extends keyof ClientEvents>(name: Name, ...args: ClientEvents[Name]): void {
    for (const client of [...this.#listening]) {
      for (const listener of client.rawListeners(name) as AnyListener[]) {
        try {
          const returned = listener.apply(client, args);
          if (returned instanceof Promise) returned.catch((error: unknown) => this.#failed(name, error));
        } catch (error) {
          this.#failed(name, error);
        }
      }
    }
  }

  #failed(name: string, cause: unknown): void {
    const message = `a listener of "${name}" of a client failed: ${asError(cause).message}`;
    this.#warnings.emit(new ListenerFailedError(message, { cause }));
  }
}
