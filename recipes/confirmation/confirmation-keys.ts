import type { KeyValue } from "../../src/index.ts";

/**
 * `request`: it was asked for. `pending`: there is still time; gone when the time-out lease ends or a decision is
 * written.
 * `decision`: how it ended.
 */
const parts = ["request", "pending", "decision"] as const;
export type ConfirmationPart = (typeof parts)[number];

/** The keys of one confirmation, as far as they are there. */
export type ConfirmationState = { readonly [part in ConfirmationPart]?: KeyValue | undefined };

export function keyOf(prefix: string, id: string, part: ConfirmationPart): string {
  return `${prefix}${id}/${part}`;
}

/** Undefined for a key that belongs to no confirmation. */
export function readKey(prefix: string, key: string): { id: string; part: ConfirmationPart } | undefined {
  const slash = key.lastIndexOf("/");
  const id = key.slice(prefix.length, slash);
  const part = parts.find((name) => name === key.slice(slash + 1));
  // Two keys that are not UTF-8 can read the same.
  return slash <= prefix.length || part === undefined || key.includes("\ufffd") ? undefined : { id, part };
}
