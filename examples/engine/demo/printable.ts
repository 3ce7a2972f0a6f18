/**
 * Text from elsewhere, safe to print: what is not printable ASCII is written as an escape. A value in etcd must not move
 * the cursor, and each character must take exactly one column.
 */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** Exactly `width` columns: padded, or cut with dots at its end. */
export function column(text: string, width: number): string {
  return clip(text, width).padEnd(width);
}

/** At most `width` columns. */
export function clip(text: string, width: number): string {
  if (text.length <= width) return text;
  return width > 3 ? `${text.slice(0, width - 3)}...` : text.slice(0, Math.max(0, width));
}
