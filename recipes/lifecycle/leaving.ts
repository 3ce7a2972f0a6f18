const leaving = new WeakSet<object>();

/** From now on it is about to be closed. */
export function markLeaving(recipe: object): void {
  leaving.add(recipe);
}

export function isLeaving(recipe: object): boolean {
  return leaving.has(recipe);
}
