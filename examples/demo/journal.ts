import { EventEmitter } from "node:events";
import { printable } from "../printable.ts";

/** Who a line comes from. */
export type Source = string;

export interface Entry {
  readonly atMs: number;
  /** Undefined: it is the heading of an act. */
  readonly source: Source | undefined;
  readonly text: string;
}

/** As many as anyone reads; `--forever` must not fill the memory. */
const mostEntries = 500;

/** What happened, in order. Each display shows it in its way. */
export class Journal extends EventEmitter<{ entry: [entry: Entry] }> {
  /** The heading of the act that is played. */
  act = "";
  readonly #startedMs = performance.now();
  readonly #entries: Entry[] = [];

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Milliseconds since the demo began. */
  get nowMs(): number {
    return performance.now() - this.#startedMs;
  }

  beginAct(heading: string): void {
    this.act = heading;
    this.#add(undefined, heading);
  }

  log(source: Source, text: string): void {
    this.#add(source, text);
  }

  #add(source: Source | undefined, text: string): void {
    // It is shown on a terminal, and its text can come from anywhere.
    const entry = { atMs: this.nowMs, source: source && printable(source), text: printable(text) };
    this.#entries.push(entry);
    if (this.#entries.length > mostEntries) this.#entries.shift();
    this.emit("entry", entry);
  }
}
