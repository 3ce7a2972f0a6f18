import type { KeyValue, LeaseId } from "../../src/index.ts";

/** What is known of a key that is there. */
export type KeyState = Pick<KeyValue, "modRevision" | "lease" | "text">;

export interface WantedKey {
  readonly text: string;
  /** The lease that it should be on; undefined while there is none. */
  readonly lease: LeaseId | undefined;
  /** Whether what is there may be written over: it is own, or another owner's that may be taken. */
  readonly mayWrite: boolean;
}

/**
 * `taken`: another owner has the key, who keeps it. `found`: it stands there as wanted. `put`: to be written, and only
 * if the key is still `over`, or missing.
 */
export type NextStep =
  | { readonly type: "taken" }
  | { readonly type: "found"; readonly revision: number }
  | { readonly type: "put"; readonly over: KeyState | undefined };

/** What to do so that a key stands as wanted, when it is as `known` says; undefined: missing. */
export function nextStep(known: KeyState | undefined, { text, lease, mayWrite }: WantedKey): NextStep {
  if (!known) return { type: "put", over: undefined };
  if (!mayWrite) return { type: "taken" };
  const found = lease !== undefined && known.lease === lease && known.text === text;
  return found ? { type: "found", revision: known.modRevision } : { type: "put", over: known };
}
