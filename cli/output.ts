import { stripVTControlCharacters, styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** What a cell of a table may be. */
export type Cell = string | number | boolean | undefined;

/** Where a command prints: people's text, or with `--json` one JSON value for each thing, each on a line of its own. */
export class Output {
  readonly json: boolean;
  readonly #out: NodeJS.WriteStream;
  readonly #err: NodeJS.WriteStream;

  constructor(json: boolean, out: NodeJS.WriteStream = process.stdout, err: NodeJS.WriteStream = process.stderr) {
    this.json = json;
    this.#out = out;
    this.#err = err;
  }

  line(text: string): void {
    this.#out.write(`${text}\n`);
  }

  /** What goes on, for people: it is no result, so it goes to stderr. */
  note(text: string): void {
    this.#err.write(`${printable(text)}\n`);
  }

  /** @param value with `--json`; else `text` */
  say(value: unknown, text: string): void {
    this.line(this.json ? JSON.stringify(value) : text);
  }

  /** Rows below a head, as wide as they need to be. With `--json` each row is an object of its names. */
  table<Name extends string>(names: readonly Name[], rows: readonly Readonly<Record<Name, Cell>>[]): void {
    if (this.json) {
      for (const row of rows) this.line(JSON.stringify(row));
      return;
    }
    const cells = rows.map((row) => names.map((name) => printable(row[name] ?? "")));
    const lines = [names.map((name) => this.style("bold", name.toUpperCase())), ...cells];
    const widths = names.map((_, column) =>
      lines.reduce((most, line) => Math.max(most, widthOf(line[column] ?? "")), 0),
    );
    for (const line of lines) {
      const padded = line.map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - widthOf(cell)));
      this.line(padded.join("  ").trimEnd());
    }
  }

  /** Coloured on a terminal that can, unless NO_COLOR is set. */
  style(style: Style, text: string): string {
    return this.#out.isTTY && this.#out.hasColors() && !process.env.NO_COLOR ? styleText(style, text) : text;
  }
}

/**
 * Text that others wrote: control characters become escapes, so that no key and no value can move the cursor, colour
 * the screen or forge a line.
 */
export function printable(text: unknown): string {
  return String(text).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

function widthOf(text: string): number {
  return stripVTControlCharacters(text).length;
}
