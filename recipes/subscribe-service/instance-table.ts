import type { ServiceInstance } from "./service-instance.ts";

interface Slot<Metadata> {
  instance: ServiceInstance<Metadata>;
  /** Where it stands among those that may be picked; -1: not there. */
  place: number;
  /** It is gone from etcd, and that is not told yet. */
  leaving: boolean;
}

/**
 * The instances by key. A change costs the same in a table of any length: those that may be picked stand in one array that
 * is changed in place, and the sorted list is made only when somebody asks for it.
 */
export class InstanceTable<Metadata> {
  readonly #slots = new Map<string, Slot<Metadata>>();
  readonly #pickable: ServiceInstance<Metadata>[] = [];
  #sorted: readonly ServiceInstance<Metadata>[] | undefined;
  #notDraining: readonly ServiceInstance<Metadata>[] | undefined;

  get size(): number {
    return this.#slots.size;
  }

  get(key: string): ServiceInstance<Metadata> | undefined {
    return this.#slots.get(key)?.instance;
  }

  /** It is there, as it is said to be: also when it was about to leave. */
  set(instance: ServiceInstance<Metadata>): void {
    const slot = this.#slots.get(instance.key) ?? { instance, place: -1, leaving: false };
    this.#slots.set(instance.key, slot);
    slot.leaving = false;
    this.#put(slot, instance);
  }

  /** Another word on one that is listed. */
  replace(instance: ServiceInstance<Metadata>): void {
    const slot = this.#slots.get(instance.key);
    if (slot) this.#put(slot, instance);
  }

  delete(key: string): void {
    const slot = this.#slots.get(key);
    if (!slot) return;
    this.#slots.delete(key);
    this.#takeOut(slot);
    this.#sorted = undefined;
  }

  /** Says that it is gone, or back: it stays listed, and is picked only when there is nothing else. */
  setLeaving(key: string, leaving: boolean): void {
    const slot = this.#slots.get(key);
    if (!slot) return;
    slot.leaving = leaving;
    this.#placed(slot);
  }

  isLeaving(key: string): boolean {
    return this.#slots.get(key)?.leaving === true;
  }

  /** All of them in the order of keys. Frozen. */
  all(): readonly ServiceInstance<Metadata>[] {
    // They were listed in order and then came one by one, so that sorting finds long runs.
    this.#sorted ??= Object.freeze(this.instances().sort((a, b) => (a.key < b.key ? -1 : 1)));
    return this.#sorted;
  }

  /** All of them in no order. */
  instances(): ServiceInstance<Metadata>[] {
    return Array.from(this.#slots.values(), ({ instance }) => instance);
  }

  /**
   * Those that may be picked, in no order: neither draining nor ejected nor gone. If there is none, the ejected and the
   * gone ones: a server that may answer is better than none. An array that changes in place.
   */
  pickable(): readonly ServiceInstance<Metadata>[] {
    return this.#pickable.length > 0 ? this.#pickable : this.notDraining();
  }

  notDraining(): readonly ServiceInstance<Metadata>[] {
    this.#notDraining ??= this.instances().filter(({ draining }) => !draining);
    return this.#notDraining;
  }

  #put(slot: Slot<Metadata>, instance: ServiceInstance<Metadata>): void {
    slot.instance = instance;
    this.#sorted = undefined;
    this.#placed(slot);
  }

  #placed(slot: Slot<Metadata>): void {
    const { instance } = slot;
    this.#notDraining = undefined;
    if (slot.leaving || instance.draining || instance.ejected) {
      this.#takeOut(slot);
      return;
    }
    if (slot.place < 0) slot.place = this.#pickable.length;
    this.#pickable[slot.place] = instance;
  }

  #takeOut(slot: Slot<Metadata>): void {
    this.#notDraining = undefined;
    const { place } = slot;
    if (place < 0) return;
    slot.place = -1;
    const last = this.#pickable.pop();
    const lastSlot = last && this.#slots.get(last.key);
    if (!last || !lastSlot || place === this.#pickable.length) return;
    this.#pickable[place] = last;
    lastSlot.place = place;
  }
}
