import type { ServersChange } from "../balancer/index.ts";
import { LazyList } from "./lazy-list.ts";
import type { ServiceInstance } from "./service-instance.ts";
import { SortedChunks } from "./sorted-chunks.ts";

/** A list that is longer is made only when it is read. */
const LONG_LIST = 1_000;
/** When more have changed, which ones they are is of no use. */
const MOST_POSITIONS = 10_000;

/**
 * The instances by key. A change costs the same in a table of any length: those that may be picked stand in one array
 * that is changed in place, and the sorted list is made only when it is asked for, from the chunks of the one
 * before.
 */
export class InstanceTable<Metadata> {
  /** Where each stands: from 0 among those that may be picked, from -1 downwards among the others. */
  readonly #places = new Map<string, number>();
  readonly #pickable: ServiceInstance<Metadata>[] = [];
  readonly #others: ServiceInstance<Metadata>[] = [];
  /** Those that are gone from etcd, while that is not emitted yet. */
  readonly #leaving = new Set<string>();
  /** Where `#pickable` changed since the last `takeChange()`; undefined: at so many positions that all count. */
  #changed: Set<number> | undefined = new Set();
  #draining = 0;
  #sorted: readonly ServiceInstance<Metadata>[] | undefined;
  #lazy: LazyList<ServiceInstance<Metadata>> | undefined;
  /** All in order, as they were before `#unsorted`; undefined: they have to be sorted. */
  #chunks: SortedChunks<ServiceInstance<Metadata>> | undefined;
  readonly #unsorted = new Map<string, ServiceInstance<Metadata> | undefined>();
  #notDraining: readonly ServiceInstance<Metadata>[] | undefined;

  get size(): number {
    return this.#places.size;
  }

  /** How many do not drain: those that may be picked, or could be if they were not ejected or gone. */
  get serving(): number {
    return this.#places.size - this.#draining;
  }

  get(key: string): ServiceInstance<Metadata> | undefined {
    const place = this.#places.get(key);
    if (place === undefined) return undefined;
    return place < 0 ? this.#others[-1 - place] : this.#pickable[place];
  }

  /** It is there, as it is said to be: also when it was about to leave. */
  set(instance: ServiceInstance<Metadata>): void {
    this.#leaving.delete(instance.key);
    this.#put(instance);
  }

  /** Another word on one that is listed. */
  replace(instance: ServiceInstance<Metadata>): void {
    if (this.#places.has(instance.key)) this.#put(instance);
  }

  delete(key: string): void {
    const instance = this.get(key);
    if (!instance) return;
    if (instance.draining) this.#draining--;
    this.#takeOut(key);
    this.#places.delete(key);
    this.#leaving.delete(key);
    this.#forgetLists(key, undefined);
  }

  /** Says that it is gone, or back: it stays listed, and is picked only when there is nothing else. */
  setLeaving(key: string, leaving: boolean): void {
    const instance = this.get(key);
    if (!instance) return;
    if (leaving) this.#leaving.add(key);
    else this.#leaving.delete(key);
    this.#place(instance);
  }

  isLeaving(key: string): boolean {
    return this.#leaving.has(key);
  }

  /** All of them in the order of keys. Frozen. */
  all(): readonly ServiceInstance<Metadata>[] {
    this.#sorted ??= (this.#lazy ?? this.#makeLazy()).array();
    return this.#sorted;
  }

  /** The same; if it is long and was not asked for yet, it is made when it is read. */
  lazily(): readonly ServiceInstance<Metadata>[] {
    if (this.#sorted || this.size <= LONG_LIST) return this.all();
    this.#lazy ??= this.#makeLazy();
    return this.#lazy.list;
  }

  /** All of them in no order. */
  instances(): ServiceInstance<Metadata>[] {
    return [...this.#pickable, ...this.#others];
  }

  /**
   * Those that may be picked, in no order: neither draining nor ejected nor gone. If there is none, the ejected and the
   * gone ones: a server that may answer is better than none. An array that changes in place.
   */
  pickable(): readonly ServiceInstance<Metadata>[] {
    return this.#pickable.length > 0 ? this.#pickable : this.#serving();
  }

  /** How the array of those that may be picked has changed since the last time. */
  takeChange(): ServersChange<ServiceInstance<Metadata>> {
    const positions = this.#changed ?? [...this.#pickable.keys()];
    this.#changed = new Set();
    return { servers: this.#pickable, positions };
  }

  #serving(): readonly ServiceInstance<Metadata>[] {
    this.#notDraining ??= this.instances().filter(({ draining }) => !draining);
    return this.#notDraining;
  }

  #put(instance: ServiceInstance<Metadata>): void {
    this.#forgetLists(instance.key, instance);
    if (this.get(instance.key)?.draining) this.#draining--;
    if (instance.draining) this.#draining++;
    this.#place(instance);
  }

  #place(instance: ServiceInstance<Metadata>): void {
    const { key } = instance;
    const place = this.#places.get(key);
    const picked = !instance.draining && !instance.ejected && !this.#leaving.has(key);
    if (place !== undefined && place >= 0 === picked) {
      if (picked) this.#setPickable(place, instance);
      else this.#others[-1 - place] = instance;
      return;
    }
    if (place !== undefined) this.#takeOut(key);
    if (picked) this.#places.set(key, this.#setPickable(this.#pickable.length, instance));
    else this.#places.set(key, -this.#others.push(instance));
  }

  /** The last one of its array takes its place. */
  #takeOut(key: string): void {
    const place = this.#places.get(key) as number;
    if (place < 0) {
      const last = this.#others.pop();
      if (!last || last.key === key) return;
      this.#others[-1 - place] = last;
      this.#places.set(last.key, place);
      return;
    }
    const last = this.#pickable.pop();
    this.#noteChange(this.#pickable.length);
    if (!last || last.key === key) return;
    this.#places.set(last.key, this.#setPickable(place, last));
  }

  /** @returns the place */
  #setPickable(place: number, instance: ServiceInstance<Metadata>): number {
    this.#pickable[place] = instance;
    this.#noteChange(place);
    return place;
  }

  #noteChange(place: number): void {
    this.#changed?.add(place);
    if (this.#changed && this.#changed.size > MOST_POSITIONS) this.#changed = undefined;
  }

  #makeLazy(): LazyList<ServiceInstance<Metadata>> {
    const chunks = this.#chunks?.with(this.#unsorted) ?? SortedChunks.of(this.instances());
    this.#chunks = chunks;
    this.#unsorted.clear();
    return new LazyList((array) => chunks.addTo(array));
  }

  #forgetLists(key: string, now: ServiceInstance<Metadata> | undefined): void {
    this.#sorted = undefined;
    this.#lazy = undefined;
    this.#notDraining = undefined;
    if (!this.#chunks) return;
    this.#unsorted.set(key, now);
    if (this.#unsorted.size <= MOST_POSITIONS) return;
    this.#chunks = undefined;
    this.#unsorted.clear();
  }
}
