/**
 * Text from elsewhere, safe to print: what is not printable ASCII is written as an escape. A value in etcd must not move
 * the cursor, and each character must take exactly one column.
 */
export function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
