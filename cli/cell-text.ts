import { printable } from "./output.ts";

/** Takes the place of what was cut off. */
const CUT = "…";

/** What terminals draw two columns wide: most of East Asia's characters, and pictures. */
const wide =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;
/** Drawn over what is before it. */
const combining = /\p{M}/u;

/** How many columns of a terminal a printable text takes. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += columnsOfOne(character);
  return columns;
}

/** What was written by others, made printable, in exactly so many columns: cut, or filled up with spaces. */
export function cell(text: unknown, columns: number): string {
  const whole = printable(text);
  const needed = columnsOf(whole);
  if (needed <= columns) return whole + " ".repeat(columns - needed);
  let kept = "";
  let used = 0;
  for (const character of whole) {
    const next = columnsOfOne(character);
    if (used + next > columns - CUT.length) break;
    kept += character;
    used += next;
  }
  if (columns <= 0) return "";
  return `${kept}${CUT}${" ".repeat(columns - used - CUT.length)}`;
}

function columnsOfOne(character: string): number {
  // Nearly all of it, and the patterns take long.
  if (character >= " " && character <= "~") return 1;
  if (combining.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
}
