import { stripVTControlCharacters, styleText } from "node:util";
import { type InOurTerms, termsOf } from "./library-terms.ts";

type Style = Parameters<typeof styleText>[0];

/** What a cell of a table may be. */
export type Cell = string | number | boolean | undefined;

/** Where a command prints: people's text, or with `--json` one JSON value for each thing, each on a line of its own. */
export class Output {
  readonly json: boolean;
  readonly #out: NodeJS.WriteStream;
  readonly #err: NodeJS.WriteStream;
  readonly #inOurTerms: InOurTerms;
  /** The warning that was noted last, with nothing after it. */
  #warned: string | undefined;

  constructor(
    json: boolean,
    out: NodeJS.WriteStream = process.stdout,
    err: NodeJS.WriteStream = process.stderr,
    inOurTerms: InOurTerms = termsOf([]),
  ) {
    this.json = json;
    this.#out = out;
    this.#err = err;
    this.#inOurTerms = inOurTerms;
  }

  line(text: string): void {
    this.#out.write(`${text}\n`);
  }

  /** What goes on, for people: it is no result, so it goes to stderr. */
  note(text: string): void {
    this.#warned = undefined;
    this.#err.write(`${printable(text)}\n`);
  }

  /** What is tried again and again: the same warning is said once, until something else is noted. */
  warning({ message }: Error): void {
    if (message === this.#warned) return;
    this.note(this.#inOurTerms(message));
    this.#warned = message;
  }

  /** @param value with `--json`; else `text` */
  say(value: unknown, text: string): void {
    this.line(this.json ? jsonOf(value) : text);
  }

  /**
   * Rows below a head, as wide as they need to be; with `--json` a value for each item.
   *
   * @param rowOf for people: "in 5s"
   * @param jsonValueOf for programs: the time itself
   */
  table<Name extends string, Item extends object>(
    names: readonly Name[],
    items: readonly Item[],
    rowOf: (item: Item) => Readonly<Record<Name, Cell>>,
    jsonValueOf: (item: Item) => object = (item) => item,
  ): void {
    if (this.json) {
      for (const item of items) this.line(jsonOf(jsonValueOf(item)));
      return;
    }
    const cells = items.map((item) => {
      const row = rowOf(item);
      return names.map((name) => printable(row[name] ?? ""));
    });
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

/** Control characters, those that turn the direction of text, lone surrogates, and other ends of a line. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]/gu;

/**
 * Text that others wrote: control characters become escapes, so that no key and no value can move the cursor, colour
 * the screen or forge a line.
 */
export function printable(text: unknown): string {
  return String(text).replace(unprintable, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** On one line, with the same characters escaped: JSON itself leaves those from U+007F on as they are. */
export function jsonOf(value: unknown): string {
  return JSON.stringify(value).replace(unprintable, (character) =>
    // As JSON has it: a character above U+FFFF is two of them.
    [...Array(character.length).keys()].map((at) => `\\u${hex4(character.charCodeAt(at))}`).join(""),
  );
}

function hex4(unit: number): string {
  return unit.toString(16).padStart(4, "0");
}

function widthOf(text: string): number {
  return stripVTControlCharacters(text).length;
}
