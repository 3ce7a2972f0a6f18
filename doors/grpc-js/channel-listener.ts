import { type GrpcEndpoint, type GrpcListener, giveEndpoints, giveFailure } from "./grpc-api.ts";

/** How long a channel that wakes up waits for the list before it goes on with its last servers, which may be gone. */
const PATIENCE_MS = 250;

/**
 * A channel that is given lists. When it becomes idle, grpc-js ends its resolver as if the channel were closed, forgets
 * the list, and asks the same resolver again at the next call. So its last servers are kept for it.
 */
export class ChannelListener {
  readonly #listener: GrpcListener;
  readonly #metadata: () => unknown;
  #state: "asleep" | "waiting" | "listed" = "asleep";
  /** The list that it was given last. */
  #servers: readonly GrpcEndpoint[] = [];
  #patience: NodeJS.Timeout | undefined;

  constructor(listener: GrpcListener, metadata: () => unknown) {
    this.#listener = listener;
    this.#metadata = metadata;
  }

  wake(): void {
    if (this.#state !== "asleep") return;
    this.#state = "waiting";
    if (this.#servers.length === 0) return;
    this.#patience = setTimeout(() => this.fail("etcd has not answered yet"), PATIENCE_MS).unref();
  }

  /** It is idle, or closed: it is given nothing until it wakes up. */
  sleep(): void {
    clearTimeout(this.#patience);
    this.#state = "asleep";
  }

  give(servers: readonly GrpcEndpoint[], note: string): void {
    if (this.#state === "asleep") return;
    clearTimeout(this.#patience);
    this.#state = "listed";
    this.#servers = servers;
    giveEndpoints(this.#listener, servers, note);
    // Of an empty list the policies of grpc-js become idle: only the first call would hear of it, the others wait.
    if (servers.length === 0) giveFailure(this.#listener, note, this.#metadata());
  }

  /** There is no list: it goes on with its last servers. One that never had any hears why. */
  fail(reason: string): void {
    if (this.#state === "asleep") return;
    if (this.#servers.length === 0) giveFailure(this.#listener, reason, this.#metadata());
    else if (this.#state === "waiting") this.give(this.#servers, `the last list, since ${reason}`);
  }
}
