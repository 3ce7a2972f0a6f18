import type { Clock, Timer } from "../../src/internal/index.ts";
import { MassRemovalError } from "../common/index.ts";
import type { ListChange } from "./list-change.ts";

/** A removal is told so much later: the others of a mass removal come within this time, mostly. */
const SETTLE_MS = 1_000;
/** What was told as removed counts for so long: leases that end one after the other are a mass removal, too. */
const WINDOW_MS = 10_000;

/** A change that knows no more than the key. */
export type Removal = Extract<ListChange<never>, { type: "delete" | "leaving" }>;

export interface RemovalGuardParts {
  /** Of what, for people: the prefix. */
  readonly what: string;
  /** Above 0, at most 1. */
  readonly maxDropRatio: number;
  readonly holdMs: number;
  readonly clock: Clock;
  /** How many are listed, those included that are gone and not told yet. */
  size(): number;
  /** What has come of removals that were given earlier. */
  onChanges(changes: readonly Removal[]): void;
  onHeld(error: MassRemovalError): void;
}

/**
 * Holds removals back when so many come at once that they look like an accident: all leases ended with a leader of etcd
 * that was away, or etcd was wiped (HARDSHIPS 9).
 *
 * ```
 *   listed ──gone──▶ leaving, not picked ──1 s──▶ told as deleted
 *     ▲                │ too many are missing
 *     │ put again      ▼
 *     └───────────── held, listed and picked ──holdMs──▶ told as deleted
 * ```
 */
export class RemovalGuard {
  readonly #parts: RemovalGuardParts;
  /** When each is told. */
  readonly #leaving = new Map<string, number>();
  readonly #held = new Set<string>();
  #holdUntilMs = 0;
  /** When each of the last while was told. */
  #toldMs: number[] = [];
  #timer: Timer | undefined;

  constructor(parts: RemovalGuardParts) {
    this.#parts = parts;
  }

  /** How many are held back. */
  get heldBack(): number {
    return this.#held.size;
  }

  /** What is to happen now instead of `changes`; `look()` follows when it has happened. */
  postpone<Metadata>(changes: readonly ListChange<Metadata>[]): ListChange<Metadata>[] {
    const dueMs = this.#parts.clock.monotonicMs() + SETTLE_MS;
    return changes.map((change) => {
      if (change.type === "put") {
        this.#leaving.delete(change.instance.key);
        this.#held.delete(change.instance.key);
      }
      if (change.type !== "delete") return change;
      this.#leaving.set(change.key, dueMs);
      return { type: "leaving", key: change.key, leaving: true };
    });
  }

  /** Tells what is due, and holds back what is too much. */
  look(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    this.#toldMs = this.#toldMs.filter((atMs) => atMs > nowMs - WINDOW_MS);
    const missing = this.#leaving.size + this.#held.size + this.#toldMs.length;
    const of = this.#parts.size() + this.#toldMs.length;
    const tooMany = missing / of >= this.#parts.maxDropRatio;
    if (this.#held.size > 0 && nowMs >= this.#holdUntilMs) {
      this.#tell([...this.#held], nowMs);
      // That is over: what goes next is looked at by itself.
      this.#toldMs = [];
    } else if (tooMany && this.#leaving.size > 0) {
      this.#hold(missing, of, nowMs);
    }
    this.#tell(
      [...this.#leaving].filter(([, dueMs]) => dueMs <= nowMs).map(([key]) => key),
      nowMs,
    );
    this.#setTimer(nowMs);
  }

  close(): void {
    this.#timer?.cancel();
    this.#leaving.clear();
    this.#held.clear();
  }

  #hold(missing: number, of: number, nowMs: number): void {
    const { what, holdMs } = this.#parts;
    const first = this.#held.size === 0;
    if (first) this.#holdUntilMs = nowMs + holdMs;
    const keys = [...this.#leaving.keys()];
    for (const key of keys) this.#held.add(key);
    this.#leaving.clear();
    this.#parts.onChanges(keys.map((key) => ({ type: "leaving", key, leaving: false })));
    if (!first) return;
    this.#parts.onHeld(
      new MassRemovalError(
        `${missing} of ${of} services under ${what} are gone at once; what is still listed stays for ${holdMs} ms`,
      ),
    );
  }

  #tell(keys: readonly string[], nowMs: number): void {
    if (keys.length === 0) return;
    for (const key of keys) {
      this.#leaving.delete(key);
      this.#held.delete(key);
      this.#toldMs.push(nowMs);
    }
    this.#parts.onChanges(keys.map((key) => ({ type: "delete", key })));
  }

  #setTimer(nowMs: number): void {
    this.#timer?.cancel();
    // They stand in the order in which they are due.
    const [due = Number.POSITIVE_INFINITY] = this.#leaving.values();
    const nextMs = this.#held.size > 0 ? Math.min(due, this.#holdUntilMs) : due;
    if (nextMs === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#parts.clock.timer(nextMs - nowMs, () => this.look()).unref();
  }
}
