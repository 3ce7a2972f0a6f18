import type { KeyValue } from "../../src/index.ts";
import { asError, type Clock, log, type Timer } from "../../src/internal/index.ts";
import { encodeList, type ListPlace, readListFile, type SavedList, writeListFile } from "./list-file.ts";

const debug = log("subscribe");

/** What changes within this time is written together. */
const SAVE_AFTER_MS = 1_000;
/** A list that does not change is written anew this often: the file says until when it was true. */
const SAVE_AGAIN_MS = 60_000;
/** After a write that failed. */
const RETRY_MS = 10_000;

export interface SavedListParts {
  readonly path: string;
  readonly place: ListPlace;
  readonly clock: Clock;
  /** What etcd had last, and how long ago, in milliseconds; undefined: nothing that is worth a file. */
  known(): { readonly entries: Iterable<KeyValue>; readonly ageMs: number } | undefined;
  onWarning(error: Error): void;
}

/** The last good list in a file: read once at the start, written when it changes, and at the end. */
export class SavedListFile {
  readonly #parts: SavedListParts;
  #timer: Timer | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #changed = false;
  /** One write after the other. */
  #writing: Promise<void> = Promise.resolve();
  #failing = false;
  #closed = false;

  constructor(parts: SavedListParts) {
    this.#parts = parts;
  }

  /** @returns undefined when there is none, or none that can be used: that is a warning */
  async read(): Promise<SavedList | undefined> {
    const { path, place, onWarning } = this.#parts;
    try {
      return await readListFile(path, place);
    } catch (cause) {
      const why = asError(cause).message;
      onWarning(new Error(`the list in ${path} is ignored: ${why}`, { cause }));
      return undefined;
    }
  }

  /** The list is another one now. */
  changed(): void {
    this.#changed = true;
    this.#saveWithin(SAVE_AFTER_MS);
  }

  /** Writes what is not written yet. */
  async close(): Promise<void> {
    if (this.#closed) return this.#writing;
    this.#closed = true;
    this.#timer?.cancel();
    this.#save();
    await this.#writing;
  }

  /** Writes nothing more. */
  stop(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #saveWithin(delayMs: number): void {
    const { clock } = this.#parts;
    const dueMs = clock.monotonicMs() + delayMs;
    if (this.#closed || dueMs >= this.#dueMs) return;
    this.#timer?.cancel();
    this.#dueMs = dueMs;
    const save = () => {
      this.#dueMs = Number.POSITIVE_INFINITY;
      this.#save();
      this.#saveWithin(this.#changed ? SAVE_AFTER_MS : SAVE_AGAIN_MS);
    };
    this.#timer = clock.timer(delayMs, save).unref();
  }

  #save(): void {
    const { path, place, clock, known } = this.#parts;
    const last = known();
    // In an outage the file says already until when it was true.
    if (!last || (!this.#changed && last.ageMs > 0)) return;
    this.#changed = false;
    // As it is now: by the time of the write it may be another one.
    const text = asText(() => encodeList(place, clock.wallMs() - last.ageMs, last.entries));
    this.#writing = this.#writing.then(async () => {
      try {
        if (text instanceof Error) throw text;
        await writeListFile(path, text);
        this.#failing = false;
      } catch (error) {
        this.#failed(error);
      }
    });
  }

  #failed(cause: unknown): void {
    const why = asError(cause).message;
    debug("%s: %s", this.#parts.path, why);
    this.#changed = true;
    this.#saveWithin(RETRY_MS);
    if (this.#failing) return;
    this.#failing = true;
    this.#parts.onWarning(new Error(`the list cannot be saved in ${this.#parts.path}: ${why}`, { cause }));
  }
}

function asText(encode: () => string): string | Error {
  try {
    return encode();
  } catch (error) {
    return asError(error);
  }
}
