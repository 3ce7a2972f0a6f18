export { printable } from "../printable.ts";

/** Exactly `width` columns: padded, or cut with dots at its end. */
export function column(text: string, width: number): string {
  return clip(text, width).padEnd(width);
}

/** At most `width` columns. */
export function clip(text: string, width: number): string {
  if (text.length <= width) return text;
  return width > 3 ? `${text.slice(0, width - 3)}...` : text.slice(0, Math.max(0, width));
}
