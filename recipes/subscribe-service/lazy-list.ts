import { inspect } from "node:util";

/**
 * A frozen array that is made when it is first read. `list` is what readers get: a Proxy, for which `Array.isArray()`
 * is true and which does all that a frozen array does, only that its items by index take longer, and that
 * `structuredClone()` and `postMessage()` refuse it: they take `[...list]`.
 */
export class LazyList<Item extends object> implements ProxyHandler<Item[]> {
  readonly list: readonly Item[];
  readonly #array: Item[] = [];
  #fill: ((array: unknown[]) => void) | undefined;

  /** @param fill called once, with an empty array that gets all items */
  constructor(fill: (array: unknown[]) => void) {
    this.#fill = fill;
    // `console.log()` looks behind a Proxy.
    Object.defineProperty(this.#array, inspect.custom, { value: () => this.array(), configurable: true });
    this.list = new Proxy<Item[]>(this.#array, this);
  }

  /** The array itself. */
  array(): readonly Item[] {
    const fill = this.#fill;
    if (fill) {
      this.#fill = undefined;
      delete (this.#array as { [inspect.custom]?: unknown })[inspect.custom];
      fill(this.#array);
      Object.freeze(this.#array);
    }
    return this.#array;
  }

  get(_: unknown, name: string | symbol): unknown {
    const array = this.array();
    const value: unknown = Reflect.get(array, name);
    // A method of the array itself: through the Proxy it would ask for each item.
    return typeof value === "function" && name !== "constructor" ? value.bind(array) : value;
  }

  has(_: unknown, name: string | symbol): boolean {
    return Reflect.has(this.array(), name);
  }

  ownKeys(): (string | symbol)[] {
    return Reflect.ownKeys(this.array());
  }

  getOwnPropertyDescriptor(_: unknown, name: string | symbol): PropertyDescriptor | undefined {
    return Reflect.getOwnPropertyDescriptor(this.array(), name);
  }

  isExtensible(): boolean {
    return Reflect.isExtensible(this.array());
  }

  preventExtensions(): boolean {
    return Reflect.preventExtensions(this.array());
  }

  set(_: unknown, name: string | symbol, value: unknown): boolean {
    return Reflect.set(this.array(), name, value);
  }

  defineProperty(_: unknown, name: string | symbol, descriptor: PropertyDescriptor): boolean {
    return Reflect.defineProperty(this.array(), name, descriptor);
  }

  deleteProperty(_: unknown, name: string | symbol): boolean {
    return Reflect.deleteProperty(this.array(), name);
  }

  setPrototypeOf(_: unknown, prototype: object | null): boolean {
    return Reflect.setPrototypeOf(this.array(), prototype);
  }
}
