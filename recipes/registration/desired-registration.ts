import { type Deferred, quietDeferred } from "../../src/internal/index.ts";
import type { RegistrationFormat } from "../registration-format/index.ts";
import { carries, encodeRegistration, type OwnRegistration } from "../registration-format/internal.ts";
import type { ServiceUpdate } from "./registration-options.ts";

/** Of more updates than this the oldest become one, as in an outage: they are refused or written together. */
const MOST_PENDING = 32;

/** So many are kept apart of what was sent in vain: one lost lease or answer lets no others be refused with one. */
const MOST_SENT_IN_VAIN = 2 * MOST_PENDING;

/** One update that does not stand in etcd yet. */
interface Pending {
  readonly version: number;
  readonly change: ServiceUpdate;
  readonly waiting: Deferred<void>[];
}

/**
 * What should stand in etcd: the last value that did, or the first one, and all updates since. When etcd refuses a
 * value, the update to blame is found and dropped, and the others go on:
 *
 * ```
 *   update() ──▶ pending, in the text ──sent──▶ on its way ──written──▶ the good value
 *                                                │ refused, with others ──▶ suspects: half of them are tried, then all
 *                                                └─refused, alone ──▶ dropped, its caller is rejected
 * ```
 *
 * Pending updates become one when they are too many, but never with one that is on its way or a suspect: its refusal is
 * its own.
 */
export class DesiredRegistration {
  readonly #format: RegistrationFormat;
  readonly #key: string;
  #good: OwnRegistration;
  #pending: Pending[] = [];
  #version = 1;
  #goodVersion = 1;
  #text: string;
  /** Of the newest update that is in the text. */
  #textVersion = 1;
  /** Of the text that was sent last. */
  #sentVersion = 1;
  /** The update to blame for a refusal is this one or older. */
  #suspectVersion = 1;
  /** Only some of the suspects are in the text: a stream of updates would bring the one to blame back for ever. */
  #isSearching = false;

  /** @param key where it stands, of which a format may write a part */
  constructor(format: RegistrationFormat, registration: OwnRegistration, key = "") {
    this.#format = format;
    this.#key = key;
    this.#good = registration;
    this.#text = encodeRegistration(format, registration, key);
  }

  get text(): string {
    return this.#text;
  }

  /** With all that was asked for. */
  get draining(): boolean {
    return this.#with(this.#pending).draining;
  }

  /** With all that was asked for. */
  get newest(): OwnRegistration {
    return this.#with(this.#pending);
  }

  /** Whether the format can say that it drains. */
  get canDrain(): boolean {
    return carries(this.#format, "draining");
  }

  /** Of the text. */
  get version(): number {
    return this.#textVersion;
  }

  /** @param change with nothing undefined in it */
  update(change: ServiceUpdate): void {
    this.#version++;
    this.#pending.push({ version: this.#version, change, waiting: [] });
    this.#mergeOldest();
    if (!this.#isSearching) this.#try(this.#pending.length);
  }

  /** The text is on its way, and no answer comes any more to one that was sent before. */
  sent(): void {
    // What was sent in vain, again and again, is kept within a bound.
    this.#sentVersion = this.#goodVersion;
    this.#mergeOldest(MOST_SENT_IN_VAIN);
    this.#sentVersion = this.#textVersion;
  }

  /** Resolves when the newest update, or what followed it, stands in etcd; rejects when etcd refuses it. */
  whenWritten(): Promise<void> {
    const done = quietDeferred<void>();
    const newest = this.#pending.at(-1);
    if (newest) newest.waiting.push(done);
    else done.resolve();
    return done.promise;
  }

  get isAwaited(): boolean {
    return this.#pending.some(({ waiting }) => waiting.length > 0);
  }

  /** The text of this version stands in etcd. */
  written(version: number): void {
    const due = this.#pending.slice(0, this.#countUntil(version));
    if (due.length === 0) return;
    this.#good = this.#with(due);
    this.#goodVersion = version;
    this.#settle(due.length);
    for (const { waiting } of due) for (const done of waiting) done.resolve();
  }

  /**
   * etcd refused the text of this version.
   *
   * @returns whether another text is to be tried; false when no update is to blame
   */
  refused(version: number, error: Error): boolean {
    const count = this.#countUntil(version);
    if (count === 0) return false;
    if (count > 1) {
      this.#suspectVersion = version;
      this.#isSearching = true;
      this.#try(Math.ceil(count / 2));
      return true;
    }
    const [dropped] = this.#pending;
    this.#settle(1);
    for (const done of dropped?.waiting ?? []) done.reject(error);
    return true;
  }

  /** No update will be written any more. */
  giveUp(error: Error): void {
    for (const { waiting } of this.#pending) for (const done of waiting.splice(0)) done.reject(error);
  }

  /** So many of the pending updates, from the first on, are in the text of this version. */
  #countUntil(version: number): number {
    return this.#pending.filter((pending) => pending.version <= version).length;
  }

  #mergeOldest(most = MOST_PENDING): void {
    const apart = this.#countUntil(Math.max(this.#sentVersion, this.#suspectVersion));
    while (this.#pending.length - apart > most) {
      const [first, second] = this.#pending.slice(apart) as [Pending, Pending];
      const change = { ...first.change, ...second.change };
      for (const done of second.waiting) first.waiting.push(done);
      this.#pending.splice(apart, 2, { version: second.version, change, waiting: first.waiting });
    }
  }

  /** The first ones are written, or dropped. */
  #settle(count: number): void {
    this.#pending = this.#pending.slice(count);
    this.#isSearching = false;
    this.#try(this.#pending.length);
  }

  #try(count: number): void {
    const tried = this.#pending.slice(0, count);
    this.#textVersion = tried.at(-1)?.version ?? this.#goodVersion;
    this.#text = this.#encode(this.#with(tried));
  }

  /**
   * A codec of the user's own took it before, with all that was asked for by then. One that no longer does leaves the
   * text as it is.
   */
  #encode(registration: OwnRegistration): string {
    try {
      return encodeRegistration(this.#format, registration, this.#key);
    } catch {
      return this.#text;
    }
  }

  #with(pending: readonly Pending[]): OwnRegistration {
    const registration = { ...this.#good };
    for (const { change } of pending) Object.assign(registration, change);
    return registration;
  }
}
