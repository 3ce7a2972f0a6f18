import { type Clock, channels, inMs, type Timer } from "../../src/internal/index.ts";
import { MassRemovalError } from "../errors/index.ts";
import type { ListChange } from "./list-change.ts";

/** A removal is emitted so much later: the others of a mass removal come within this time, mostly. */
const SETTLE_MS = 1_000;
/** How far back the list is compared with itself: leases that end one after the other are a mass removal, too. */
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
  /** How many are listed, those included that are gone and not emitted yet. */
  size(): number;
  isListed(key: string): boolean;
  /** What has come of removals that were given earlier. */
  onChanges(changes: readonly Removal[]): void;
  onWarning(error: MassRemovalError): void;
}

/**
 * Holds removals back when so many come at once that they look like an accident: all leases ended with a leader of etcd
 * that was away, or etcd was wiped (HARDSHIPS 9).
 *
 * ```
 *   listed ──gone──▶ leaving, not picked ──1 s──▶ emitted as deleted
 *     ▲                │ too many are missing
 *     │ put again      ▼
 *     └───────────── held, listed and picked ──holdMs──▶ emitted as deleted
 * ```
 */
export class RemovalGuard {
  readonly #parts: RemovalGuardParts;
  /** When each is emitted, in that order. */
  readonly #leaving = new Map<string, number>();
  /** Until when each is held, in that order. */
  readonly #held = new Map<string, number>();
  /** The last mass removal: what comes within the window after it began is of it. */
  #last = { beganMs: Number.NEGATIVE_INFINITY, untilMs: 0 };
  /**
   * How many there were, and until when; only those with less and less, of which the first is the most within the
   * window.
   */
  #levels: { readonly atMs: number; readonly present: number }[] = [];
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
    const nowMs = this.#parts.clock.monotonicMs();
    this.#noteLevel(nowMs);
    const now: ListChange<Metadata>[] = [];
    const came = new Set<string>();
    for (const change of changes) {
      if (change.type === "put") {
        const { key } = change.instance;
        came.add(key);
        this.#leaving.delete(key);
        this.#held.delete(key);
      }
      if (change.type !== "delete") {
        now.push(change);
        continue;
      }
      const { key } = change;
      // It was never listed, or it is gone for long: a value that cannot be read is emitted like a removal.
      if (this.#held.has(key) || this.#leaving.has(key) || !(came.has(key) || this.#parts.isListed(key))) continue;
      this.#leaving.set(key, nowMs + SETTLE_MS);
      now.push({ type: "leaving", key, leaving: true });
    }
    return now;
  }

  /** Emits what is due, and holds back what is too much. */
  look(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    const over = takeDue(this.#held, nowMs);
    // That is over: what goes next is looked at by itself.
    if (over.length > 0) this.#levels = [];
    this.#emit(over);
    const most = this.#mostSince(nowMs - WINDOW_MS);
    const missing = most - this.#present();
    if (this.#leaving.size > 0 && missing / most >= this.#parts.maxDropRatio) this.#hold(missing, most, nowMs);
    this.#emit(takeDue(this.#leaving, nowMs));
    this.#setTimer(nowMs);
  }

  close(): void {
    this.#timer?.cancel();
    this.#leaving.clear();
    this.#held.clear();
  }

  /** How many are listed and not gone. */
  #present(): number {
    return this.#parts.size() - this.#leaving.size - this.#held.size;
  }

  #noteLevel(atMs: number): void {
    const present = this.#present();
    while ((this.#levels.at(-1)?.present ?? Number.POSITIVE_INFINITY) <= present) this.#levels.pop();
    this.#levels.push({ atMs, present });
  }

  #mostSince(sinceMs: number): number {
    const from = this.#levels.findIndex(({ atMs }) => atMs > sinceMs);
    if (from > 0) this.#levels.splice(0, from);
    return from < 0 ? 0 : (this.#levels[0]?.present ?? 0);
  }

  #hold(missing: number, of: number, nowMs: number): void {
    const { what, holdMs } = this.#parts;
    const isNew = this.#held.size === 0 || nowMs - this.#last.beganMs > WINDOW_MS;
    if (isNew) this.#last = { beganMs: nowMs, untilMs: nowMs + holdMs };
    const keys = [...this.#leaving.keys()];
    for (const key of keys) this.#held.set(key, this.#last.untilMs);
    this.#leaving.clear();
    if (channels.removalsHeld.heard) {
      channels.removalsHeld.publish({ prefix: what, held: keys.length, missing, of, holdMs });
    }
    this.#parts.onChanges(keys.map((key) => ({ type: "leaving", key, leaving: false })));
    if (!isNew) return;
    this.#parts.onWarning(
      new MassRemovalError(
        `${missing} of ${of} services under ${what} are gone at once; what is still listed stays for ${inMs(holdMs)}`,
      ),
    );
  }

  #emit(keys: readonly string[]): void {
    if (keys.length > 0) this.#parts.onChanges(keys.map((key) => ({ type: "delete", key })));
  }

  #setTimer(nowMs: number): void {
    this.#timer?.cancel();
    const [due = Number.POSITIVE_INFINITY] = this.#leaving.values();
    const [over = Number.POSITIVE_INFINITY] = this.#held.values();
    const nextMs = Math.min(due, over);
    if (nextMs === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#parts.clock.timer(nextMs - nowMs, () => this.look()).unref();
  }
}

/** Takes out those whose time has come, of what is in the order of that. */
function takeDue(times: Map<string, number>, nowMs: number): string[] {
  const due: string[] = [];
  for (const [key, dueMs] of times) {
    if (dueMs > nowMs) break;
    due.push(key);
  }
  for (const key of due) times.delete(key);
  return due;
}
