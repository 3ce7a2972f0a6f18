/**
 * Text from elsewhere, as the examples print it: control characters become escapes, so that no value in etcd can move
 * the cursor or forge a line. It prints nothing by itself.
 */
export function printable(text: unknown): string {
  return String(text).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
