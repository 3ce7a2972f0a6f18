import { asError, type Runtime } from "../../src/internal/index.ts";
import type { Balancer } from "../balancer/index.ts";
import { createBalancer } from "../balancer/internal.ts";
import { ChangeDebounce, type ServiceChanges } from "./change-debounce.ts";
import { InstanceTable } from "./instance-table.ts";
import type { ListChange, ListStep } from "./list-change.ts";
import { ListWaits } from "./list-waits.ts";
import type { ResolvedPick } from "./options.ts";
import type { ServiceInstance } from "./service-instance.ts";
import type { SubscribeServiceEvents } from "./subscribe-events.ts";

/** The name of an event and what its listeners get. */
export type ListEvent<Metadata, Events = SubscribeServiceEvents<Metadata>> = {
  [Name in keyof Events]: readonly [Name, ...(Events[Name] extends readonly unknown[] ? Events[Name] : never)];
}[keyof Events];

/** Who hears of a list. */
export interface ListListener<Metadata> {
  emit(event: ListEvent<Metadata>): void;
  hears(name: "change"): boolean;
}

/** What a step has done to a list: it is emitted when all lists that follow the same step are up to date. */
export interface TakenStep<Metadata> {
  readonly events: readonly ListEvent<Metadata>[];
  /** All of the first list, which can be long: without an event made for each. */
  readonly first?: readonly ListChange<Metadata>[] | undefined;
  readonly touched: boolean;
  readonly wasEmpty: boolean;
  /** Whether it goes into the next `change`. */
  readonly gathered: boolean;
  /** Emitted after everything else. */
  readonly warnings?: readonly Error[];
}

/** A list of instances that steps bring up to date, the balancer that chooses from it, and who hears of it. */
export class LiveList<Metadata> {
  readonly table = new InstanceTable<Metadata>();
  readonly balancer: Balancer<ServiceInstance<Metadata>>;
  /** Whether the strategy is one of ours: another one may read more in a key than that it is another one. */
  readonly isNamed: boolean;
  readonly waits: ListWaits;
  readonly #change: ChangeDebounce<Metadata>;
  #listener: ListListener<Metadata> | undefined;
  #listed = false;
  #finished = false;

  constructor({ clock, random }: Runtime, pick: ResolvedPick<Metadata>) {
    const { strategy, zone, slowStartMs, changeDelayMs, changeMaxDelayMs } = pick;
    this.isNamed = typeof strategy === "string";
    this.balancer = createBalancer("SubscribeService", strategy, {
      zone,
      slowStartMs,
      random,
      nowMs: () => clock.monotonicMs(),
    });
    this.#change = new ChangeDebounce({
      delayMs: changeDelayMs,
      maxDelayMs: changeMaxDelayMs,
      clock,
      emit: (changes) => this.#tellChange(changes),
    });
    this.waits = new ListWaits(clock);
  }

  /** Whether the first list is there. */
  get listed(): boolean {
    return this.#listed;
  }

  /** Whether it has come to its end. */
  get finished(): boolean {
    return this.#finished;
  }

  heardBy(listener: ListListener<Metadata>): void {
    this.#listener = listener;
  }

  /** Brings the list up to date. @returns what `emit()` says of it */
  take({ changes, first = false }: ListStep<Metadata>): TakenStep<Metadata> {
    const wasEmpty = this.table.size === 0;
    const events: ListEvent<Metadata>[] = [];
    // What has no listener needs not be gathered.
    const gathered = !first && (this.#listener?.hears("change") ?? false);
    // Nothing that was gathered before has a listener, now or later.
    if (!gathered) this.#change.drop();
    let touched = first;
    for (const change of changes) touched = this.#touch(change, first ? undefined : events, gathered) || touched;
    const change = this.table.takeChange();
    if (touched) this.inform(() => this.balancer.changed?.(change));
    this.#listed ||= first;
    return { events, first: first ? changes : undefined, touched, wasEmpty, gathered };
  }

  /** Emits it, until a listener ends the list. */
  emit({ events, first, touched, wasEmpty, gathered, warnings = [] }: TakenStep<Metadata>): void {
    for (const event of events) this.#emit(event);
    if (first) this.#tellFirst(first);
    if (touched && !this.#finished) {
      if (gathered) this.#change.settle(wasEmpty);
      this.waits.lookAll();
    }
    for (const error of warnings) this.#emit(["warning", error]);
  }

  /** Also at its end. */
  notify(event: ListEvent<Metadata>): void {
    this.#listener?.emit(event);
  }

  /** A strategy of the user's own may throw at what it hears; no caller is there who could take care of it. */
  inform(strategy: () => void): void {
    try {
      strategy();
    } catch (error) {
      this.notify(["warning", asError(error)]);
    }
  }

  /** Nothing is emitted any more, and all who wait hear why. */
  finish(): void {
    this.#finished = true;
    this.#change.drop();
    this.waits.lookAll();
  }

  /**
   * @param events gets what is to be emitted
   * @returns whether the list has changed
   */
  #touch(change: ListChange<Metadata>, events: ListEvent<Metadata>[] | undefined, gathered: boolean): boolean {
    switch (change.type) {
      case "put": {
        const { instance } = change;
        const previous = this.table.get(instance.key);
        this.table.set(instance);
        if (gathered) this.#change.put(instance, previous);
        events?.push(previous ? ["put", instance, previous] : ["put", instance]);
        return true;
      }
      case "delete": {
        const last = this.table.get(change.key);
        if (!last) return false;
        this.table.delete(change.key);
        if (gathered) this.#change.deleted(last);
        events?.push(["delete", last]);
        return true;
      }
      case "leaving":
        this.table.setLeaving(change.key, change.leaving);
        return true;
      case "ejected":
      case "readmitted": {
        const { instance } = change;
        if (!this.table.get(instance.key)) return false;
        this.table.replace(instance);
        events?.push(change.type === "ejected" ? ["ejected", instance, change.ejection] : ["readmitted", instance]);
        return true;
      }
      case "invalid":
        events?.push(["invalid", change.key, change.error]);
        return false;
    }
  }

  #emit(event: ListEvent<Metadata>): void {
    if (!this.#finished) this.notify(event);
  }

  /** The first list can be long: no event is made for each before it is emitted. */
  #tellFirst(changes: readonly ListChange<Metadata>[]): void {
    for (const change of changes) {
      if (change.type === "put") this.#emit(["put", change.instance]);
      else if (change.type === "invalid") this.#emit(["invalid", change.key, change.error]);
    }
    if (!this.#finished) this.#tellChange();
  }

  /** @param changes undefined: all of the list is new */
  #tellChange(changes?: ServiceChanges<Metadata>): void {
    if (!this.#listener?.hears("change")) return;
    const list = this.table.lazily();
    this.notify(["change", list, changes ?? { puts: list, deletes: [] }]);
  }
}
