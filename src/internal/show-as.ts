import type { InspectOptions } from "node:util";

type Inspect = (value: unknown, options: InspectOptions) => string;

/**
 * What `console.log` and `JSON.stringify` show of the instances of a class: its public name and these fields, nothing
 * of what they are made of. Without it the one shows listeners and promises, and the other leaves out what stands in
 * getters.
 */
export function showAs<Made extends object>(
  made: { readonly prototype: Made },
  name: string,
  fields: (instance: Made) => object,
): void {
  const isInstance = (value: object) =>
    made.prototype !== value && Object.prototype.isPrototypeOf.call(made.prototype, value);
  define(made.prototype, "toJSON", function toJSON(this: Made) {
    return isInstance(this) ? fields(this) : {};
  });
  define(
    made.prototype,
    Symbol.for("nodejs.util.inspect.custom"),
    function shown(this: Made, depth: number | null, options: InspectOptions, inspect: Inspect) {
      if (!isInstance(this)) return this;
      if (depth !== null && depth < 0) return `[${name}]`;
      return `${name} ${inspect(fields(this), { ...options, depth: depth === null ? null : depth - 1 })}`;
    },
  );
}

function define(prototype: object, key: PropertyKey, value: unknown): void {
  Object.defineProperty(prototype, key, { value, configurable: true, writable: true });
}
