/** Node has it since 20; TypeScript's library for ES2023 has not. */
type WellFormedString = string & { isWellFormed(): boolean };

/** Whether no half of a surrogate pair is in it, which UTF-8 cannot write: several texts would come to the same bytes. */
export function isWellFormed(text: string): boolean {
  return (text as WellFormedString).isWellFormed();
}

/** What an error says of text that is not. */
export const notWellFormed = "must be well-formed text: half of a surrogate pair would be U+FFFD";
