const wholes = new WeakMap<object, object>();

/** A part, such as a member of a group, ends with its whole. */
export function setWhole(part: object, whole: object): void {
  wholes.set(part, whole);
}

export function wholeOf(part: object): object | undefined {
  return wholes.get(part);
}
