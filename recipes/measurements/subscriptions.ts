import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { EventChannelMessages, TracingChannelMessages } from "../../src/index.ts";

/** What is subscribed to, until it is ended as a whole. */
export class Subscriptions {
  readonly #ends: (() => void)[] = [];

  on<Name extends keyof EventChannelMessages & string>(
    name: Name,
    hear: (message: EventChannelMessages[Name]) => void,
  ): void {
    this.#add(name, hear as (message: unknown) => void);
  }

  onStart<Name extends keyof TracingChannelMessages & string>(
    name: Name,
    hear: (message: TracingChannelMessages[Name]) => void,
  ): void {
    this.#add(`tracing:${name}:start`, hear as (message: unknown) => void);
  }

  onEnd<Name extends keyof TracingChannelMessages & string>(
    name: Name,
    hear: (message: TracingChannelMessages[Name]) => void,
  ): void {
    this.#add(`tracing:${name}:asyncEnd`, hear as (message: unknown) => void);
  }

  end(): void {
    for (const end of this.#ends.splice(0)) end();
  }

  #add(name: string, hear: (message: unknown) => void): void {
    subscribe(name, hear);
    this.#ends.push(() => unsubscribe(name, hear));
  }
}
