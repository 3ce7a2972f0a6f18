/** Line breaks, control characters and terminal escapes, and what turns the direction of text round. */
const forging = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

const short: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A key can have a megabyte. */
const LONGEST = 2_000;

/**
 * Text in which somebody else's may stand (a key, a value, what a server said) as one line that is safe to print: a key with
 * a line break in it must not forge a line of a log, nor one with an escape move the cursor. What is printable stays as it is, but
 * for what is too long for a line.
 */
export function oneLine(text: string): string {
  const long = text.length - LONGEST;
  const shown = long > 0 ? `${text.slice(0, LONGEST)}... and ${long} characters more` : text;
  return shown.replace(forging, (character) => short[character] ?? `\\u${hex(character)}`);
}

function hex(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).padStart(4, "0");
}
