import type { EventEmitter } from "node:events";

/** One event as it was emitted, and the status at that moment. */
export interface Recorded {
  readonly name: string;
  readonly args: readonly unknown[];
  readonly status: unknown;
}

/** Keeps every event of an emitter, in order. */
export class Recorder {
  readonly events: Recorded[] = [];

  constructor(emitter: EventEmitter & { readonly status?: unknown }, names: readonly string[]) {
    for (const name of names) {
      emitter.on(name, (...args: unknown[]) => this.events.push({ name, args, status: emitter.status }));
    }
  }

  get names(): string[] {
    return this.events.map(({ name }) => name);
  }

  /** The first argument of each event with this name. */
  of<T>(name: string): T[] {
    return this.events.filter((event) => event.name === name).map(({ args }) => args[0] as T);
  }

  clear(): void {
    this.events.length = 0;
  }
}

export const registerEvents = ["registered", "lost", "conflict", "status", "failed", "warning", "closed"];
export const subscribeEvents = ["put", "delete", "change", "invalid", "status", "failed", "warning"];
