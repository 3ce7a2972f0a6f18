import { wholeOf } from "../recipe/index.ts";

const leaving = new WeakSet<object>();

/** From now on it is about to be closed, and all that is a part of it. */
export function markLeaving(recipe: object): void {
  leaving.add(recipe);
}

export function isLeaving(recipe: object): boolean {
  const whole = wholeOf(recipe);
  return leaving.has(recipe) || (whole !== undefined && isLeaving(whole));
}
