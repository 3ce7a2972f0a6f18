import type { Runtime } from "../../src/internal/index.ts";
import type { PickRequest } from "../balancer/index.ts";
import type { ServerChoice } from "./server-choice.ts";
import type { ServiceInstance } from "./service-instance.ts";

/** The servers that one `call()` can go to, as its caller asked for them. */
export class ServersOfCall<Metadata> {
  readonly runtime: Runtime;
  /** Where they are. */
  readonly prefix: string;
  readonly #choice: ServerChoice<Metadata>;
  readonly #request: PickRequest;
  readonly #signal: AbortSignal | undefined;

  constructor(choice: ServerChoice<Metadata>, request: PickRequest, signal: AbortSignal | undefined) {
    this.runtime = choice.runtime;
    this.prefix = choice.prefix;
    this.#choice = choice;
    this.#request = request;
    this.#signal = signal;
  }

  /** One that is not among those tried, if there is such a one; undefined when there is none at all. */
  choose(tried: ReadonlySet<string>): ServiceInstance<Metadata> | undefined {
    return this.#choice.pickUntried(this.#request, tried);
  }

  /** Whether there is one that is not among those tried. */
  hasOther(tried: ReadonlySet<string>): boolean {
    return this.#choice.hasOther(tried);
  }

  /** Waits until there is a server; rejects when the time is over. */
  someServer(timeoutMs: number): Promise<void> {
    return this.#choice.someServer(timeoutMs, this.#signal);
  }

  started(server: ServiceInstance<Metadata>): void {
    this.#choice.started(server);
  }

  ended(server: ServiceInstance<Metadata>): void {
    this.#choice.ended(server);
  }

  report(server: ServiceInstance<Metadata>, { latencyMs, error }: { latencyMs: number; error?: unknown }): void {
    this.#choice.report(server, error, latencyMs);
  }
}
