import { InvalidOptionError } from "../errors/invalid-option-error.ts";

/** For an option that is called much later: what cannot be called is told now. @throws InvalidOptionError */
export function checkFunction(what: string, name: string, value: unknown): void {
  if (value === undefined || typeof value === "function") return;
  throw new InvalidOptionError(what, name, `must be a function, not ${value === null ? "null" : typeof value}`);
}
