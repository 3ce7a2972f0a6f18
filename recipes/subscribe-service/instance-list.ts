import type { ServiceInstance } from "./service-instance.ts";

/** The instances by key, and the arrays that are made of them: each at most once per change, and only if somebody asks. */
export class InstanceList<Metadata> {
  readonly #instances = new Map<string, ServiceInstance<Metadata>>();
  #list: readonly ServiceInstance<Metadata>[] | undefined;
  #available: readonly ServiceInstance<Metadata>[] | undefined;

  get(key: string): ServiceInstance<Metadata> | undefined {
    return this.#instances.get(key);
  }

  set(instance: ServiceInstance<Metadata>): void {
    this.#instances.set(instance.key, instance);
    this.#changed();
  }

  delete(key: string): void {
    this.#instances.delete(key);
    this.#changed();
  }

  /** All of them in the order of keys. Frozen. */
  all(): readonly ServiceInstance<Metadata>[] {
    this.#list ??= Object.freeze([...this.#instances.values()].sort((a, b) => (a.key < b.key ? -1 : 1)));
    return this.#list;
  }

  /** Those that may be chosen. Frozen. */
  available(): readonly ServiceInstance<Metadata>[] {
    this.#available ??= Object.freeze(this.all().filter((instance) => !instance.draining));
    return this.#available;
  }

  #changed(): void {
    this.#list = undefined;
    this.#available = undefined;
  }
}
