/** Line breaks, control characters and terminal escapes, and what turns the direction of text round. */
const forging = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

const short: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A key can have a megabyte. */
const LONGEST = 2_000;
/** Longer than any word of a message of ours: a name. */
const LONGEST_NAME = 400;
const longNames = new RegExp(`\\S{${LONGEST_NAME + 1},}`, "g");

/**
 * Text that may contain that of others (a key, a value, what a server said) as one line that is safe to print: a key
 * with a line break in it must not forge a line of a log, nor one with an escape move the cursor. What is printable
 * stays as it is, but for what is too long for a line.
 */
export function oneLine(text: string): string {
  return withoutLength(text, LONGEST).replace(forging, (character) => short[character] ?? `\\u${hex(character)}`);
}

/** Long names, and then the whole, are cut in the middle: what happened stands before or behind a name. */
export function withoutLength(text: string, longest: number): string {
  return cut(
    text.replace(longNames, (name) => cut(name, LONGEST_NAME)),
    longest,
  );
}

function cut(text: string, longest: number): string {
  if (text.length <= longest) return text;
  const half = longest / 2;
  return `${text.slice(0, half)}... ${text.length - longest} characters more ...${text.slice(-half)}`;
}

function hex(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).padStart(4, "0");
}
