import { InvalidOptionError } from "./invalid-option-error.ts";
import { checkPlainObject } from "./plain-object.ts";
import { shown } from "./shown.ts";
import { unknownOption } from "./unknown-option.ts";

/** What an option may be. */
export interface OptionCheck {
  /** Continues the sentence "must be …". */
  readonly allowed: string;
  holds(value: unknown): boolean;
}

export const flag: OptionCheck = { allowed: "true or false", holds: (value) => typeof value === "boolean" };

export const callback: OptionCheck = { allowed: "a function", holds: (value) => typeof value === "function" };

/** etcd reads 0 as left out. */
export function wholeNumber(minimum: number): OptionCheck {
  return {
    allowed: `a whole number of at least ${minimum}`,
    holds: (value) => Number.isSafeInteger(value) && (value as number) >= minimum,
  };
}

/**
 * Makes the check of a call's options: unknown names, and values that are none, are refused by name. It allocates
 * nothing, as it stands on the path of every call.
 *
 * @param what the call, as the caller wrote it
 */
export function optionsOf(what: string, checks: Readonly<Record<string, OptionCheck>>): (options: unknown) => void {
  const known = new Map(Object.entries(checks));
  const names = [...known.keys()];
  return (options) => {
    if (options === undefined) return;
    checkPlainObject(what, "options", options);
    for (const name in options) {
      if (!known.has(name) && Object.hasOwn(options, name)) throw unknownOption(what, name, name, names);
    }
    for (const name of names) {
      const value = options[name];
      if (value === undefined) continue;
      const check = known.get(name);
      if (check && !check.holds(value)) {
        throw new InvalidOptionError(what, name, `must be ${check.allowed}, not ${shown(value)}`);
      }
    }
  };
}
