import { printable } from "./output.ts";

/** Often enough for eyes, and seldom enough to cost nothing. */
const EVERY_MS = 100;

/**
 * How far something has come: one line of the terminal, written over in place, on stderr. Nothing where that is none.
 */
export class Progress implements Disposable {
  readonly #err: NodeJS.WriteStream;
  readonly #shows: boolean;
  #shownAtMs = Number.NEGATIVE_INFINITY;
  #isShown = false;

  /** @param quiet with `--json` a program reads what is printed */
  constructor(quiet: boolean, err: NodeJS.WriteStream = process.stderr) {
    this.#err = err;
    this.#shows = err.isTTY && !quiet;
  }

  show(text: string): void {
    const nowMs = performance.now();
    if (!this.#shows || nowMs - this.#shownAtMs < EVERY_MS) return;
    this.#shownAtMs = nowMs;
    this.#isShown = true;
    this.#err.write(`\r\x1b[K${printable(text)}`);
  }

  /** Takes the line away: what follows stands in its place. */
  clear(): void {
    if (this.#isShown) this.#err.write("\r\x1b[K");
    this.#isShown = false;
    this.#shownAtMs = Number.NEGATIVE_INFINITY;
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}
