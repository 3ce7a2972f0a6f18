import type { KeyValue, LeaseId } from "../../src/index.ts";

/** What is known of a key that is there. */
export type KeyState = Pick<KeyValue, "modRevision" | "lease" | "text">;

export interface KeyWish<State extends KeyState = KeyState> {
  readonly text: string;
  /** The lease that it should be on; undefined while there is none. */
  readonly lease: LeaseId | undefined;
  isOwn(state: State): boolean;
  /** Whether somebody else's key may be taken. */
  mayTake(state: State): boolean;
}

/**
 * `taken`: somebody else has the key, who keeps it. `found`: it stands there as wished. `put`: to be written, and only if the
 * key is still `over`, or missing.
 */
export type NextStep<State extends KeyState = KeyState> =
  | { readonly type: "taken"; readonly by: State }
  | { readonly type: "found"; readonly revision: number }
  | { readonly type: "put"; readonly over: State | undefined };

/** What to do so that a key stands as wished, when it is as `known` says; undefined: missing. */
export function nextStep<State extends KeyState>(known: State | undefined, wish: KeyWish<State>): NextStep<State> {
  if (!known) return { type: "put", over: undefined };
  if (!wish.isOwn(known) && !wish.mayTake(known)) return { type: "taken", by: known };
  const found = wish.lease !== undefined && known.lease === wish.lease && known.text === wish.text;
  return found ? { type: "found", revision: known.modRevision } : { type: "put", over: known };
}
