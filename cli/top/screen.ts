import { writeSync } from "node:fs";
import type { ReadStream } from "node:tty";

const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";

/** Arrows and pages are sequences; every other character is a key. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: sequences begin with one
const key = /\x1b\[[\d;]*[A-Za-z~]|./gsu;

export interface ScreenParts {
  readonly out: NodeJS.WriteStream & { readonly fd: number };
  readonly keys: ReadStream;
  onKey(key: string): void;
  onResize(): void;
}

/** The alternate screen of a terminal, given back whole at the end, however the process ends but by SIGKILL. */
export class Screen implements Disposable {
  readonly #parts: ScreenParts;
  /** What is read at once may be several keys: those of a slow line, or of a process that was busy. */
  readonly #onData = (data: Buffer) => {
    for (const [pressed] of data.toString().matchAll(key)) this.#parts.onKey(pressed);
  };
  readonly #onResize = () => {
    // What the terminal has made of the old lines.
    this.#parts.out.write("\x1b[2J");
    this.#parts.onResize();
  };
  /** At once: nothing that is written later is written any more. */
  readonly #restore = () => {
    try {
      if (this.#parts.keys.isTTY) this.#parts.keys.setRawMode(false);
      writeSync(this.#parts.out.fd, LEAVE);
    } catch {
      // The terminal is gone, and with it the screen.
    }
  };

  constructor(parts: ScreenParts) {
    this.#parts = parts;
    const { out, keys } = parts;
    out.write(ENTER);
    out.on("resize", this.#onResize);
    process.on("exit", this.#restore);
    if (!keys.isTTY) return;
    keys.setRawMode(true);
    keys.on("data", this.#onData);
    keys.resume();
  }

  get columns(): number {
    return this.#parts.out.columns || 80;
  }

  get rows(): number {
    return this.#parts.out.rows || 24;
  }

  /** @param lines no more than `rows`, none wider than `columns` */
  draw(lines: readonly string[]): void {
    this.#parts.out.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join("\r\n")}\x1b[J`);
  }

  [Symbol.dispose](): void {
    const { out, keys } = this.#parts;
    process.off("exit", this.#restore);
    out.off("resize", this.#onResize);
    keys.off("data", this.#onData);
    keys.pause();
    this.#restore();
  }
}
