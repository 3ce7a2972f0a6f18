/** @throws TypeError for what has no names of its own, and would be taken for one whose options are all left out */
export function checkObject(option: string, value: unknown, allowed = "an object"): void {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return;
  throw new TypeError(`${option} must be ${allowed}, not ${kindOf(value)}`);
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : `a ${typeof value}`;
}
