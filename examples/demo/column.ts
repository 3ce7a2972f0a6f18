/** Exactly `width` columns: padded, or cut with dots at its end. */
export function column(text: string, width: number): string {
  return clip(text, width).padEnd(width);
}

/** At most `width` columns. */
export function clip(text: string, width: number): string {
  const narrow = text.replace(/[^\x20-\x7e]/gu, escaped);
  if (narrow.length <= width) return narrow;
  return width > 3 ? `${narrow.slice(0, width - 3)}...` : narrow.slice(0, Math.max(0, width));
}

/** Characters beyond ASCII can take no column, or two. */
function escaped(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}
