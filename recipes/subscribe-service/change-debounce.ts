import type { Clock, Timer } from "../../src/internal/index.ts";
import type { ServiceInstance } from "./service-instance.ts";

/** What one or several batches of changes did to the list. */
export interface ServiceChanges<Metadata = unknown> {
  readonly puts: readonly ServiceInstance<Metadata>[];
  /** As they were last. */
  readonly deletes: readonly ServiceInstance<Metadata>[];
}

export interface ChangeDebounceParts<Metadata> {
  /** Emitted when nothing has changed for so long. */
  readonly delayMs: number;
  /** And no later than this after the first change that was not emitted. */
  readonly maxDelayMs: number;
  readonly clock: Clock;
  emit(changes: ServiceChanges<Metadata>): void;
}

/** What became of one key since the last time it was emitted. */
interface Difference<Metadata> {
  readonly before: ServiceInstance<Metadata> | undefined;
  now: ServiceInstance<Metadata> | undefined;
  /** Whether it was gone in between, even if it is back. */
  deleted: boolean;
}

/** Gathers changes until there is a pause, and emits what they came to: what came and went in between is left out. */
export class ChangeDebounce<Metadata> {
  readonly #parts: ChangeDebounceParts<Metadata>;
  readonly #differences = new Map<string, Difference<Metadata>>();
  #sinceMs = 0;
  #timer: Timer | undefined;

  constructor(parts: ChangeDebounceParts<Metadata>) {
    this.#parts = parts;
  }

  deleted(last: ServiceInstance<Metadata>): void {
    const difference = this.#differences.get(last.key);
    this.#differences.set(last.key, { before: difference ? difference.before : last, now: undefined, deleted: true });
  }

  put(instance: ServiceInstance<Metadata>, previous: ServiceInstance<Metadata> | undefined): void {
    const difference = this.#differences.get(instance.key);
    if (difference) difference.now = instance;
    else this.#differences.set(instance.key, { before: previous, now: instance, deleted: false });
  }

  /**
   * The changes of one batch are complete.
   *
   * @param atOnce without a wait: it is the first instance of an empty list
   */
  settle(atOnce: boolean): void {
    if (this.#differences.size === 0) return;
    const { delayMs, maxDelayMs, clock } = this.#parts;
    if (atOnce || delayMs === 0) {
      this.#flush();
      return;
    }
    const nowMs = clock.monotonicMs();
    if (!this.#timer) this.#sinceMs = nowMs;
    this.#timer?.cancel();
    const dueMs = Math.min(nowMs + delayMs, this.#sinceMs + maxDelayMs);
    this.#timer = clock.timer(dueMs - nowMs, () => this.#flush()).unref();
  }

  /** What was gathered is not emitted. */
  drop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#differences.clear();
  }

  #flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const puts: ServiceInstance<Metadata>[] = [];
    const deletes: ServiceInstance<Metadata>[] = [];
    for (const { before, now, deleted } of this.#differences.values()) {
      if (before && deleted) deletes.push(before);
      if (now && now !== before) puts.push(now);
    }
    this.#differences.clear();
    if (puts.length + deletes.length > 0) this.#parts.emit({ puts, deletes });
  }
}
