import type { KeyValue, LeaseId } from "../../src/index.ts";

/** What is known of a key that is there. */
export type KeyState = Pick<KeyValue, "modRevision" | "lease" | "text">;

export interface WantedKey<State extends KeyState = KeyState> {
  readonly text: string;
  /** The lease that it should be on; undefined while there is none. */
  readonly lease: LeaseId | undefined;
  isOwn(state: State): boolean;
  /** Whether another owner's key may be taken. */
  mayTake(state: State): boolean;
}

/**
 * `taken`: another owner has the key, who keeps it. `found`: it stands there as wanted. `put`: to be written, and only
 * if the key is still `over`, or missing.
 */
export type NextStep<State extends KeyState = KeyState> =
  | { readonly type: "taken"; readonly by: State }
  | { readonly type: "found"; readonly revision: number }
  | { readonly type: "put"; readonly over: State | undefined };

/** What to do so that a key stands as wanted, when it is as `known` says; undefined: missing. */
export function nextStep<State extends KeyState>(known: State | undefined, wanted: WantedKey<State>): NextStep<State> {
  if (!known) return { type: "put", over: undefined };
  if (!wanted.isOwn(known) && !wanted.mayTake(known)) return { type: "taken", by: known };
  const found = wanted.lease !== undefined && known.lease === wanted.lease && known.text === wanted.text;
  return found ? { type: "found", revision: known.modRevision } : { type: "put", over: known };
}
