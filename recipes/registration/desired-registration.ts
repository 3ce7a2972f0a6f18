import { type Deferred, quietDeferred } from "../../src/internal/index.ts";
import type { RegistrationFormat } from "../registration-format/index.ts";
import { carries, encodeRegistration, type OwnRegistration } from "../registration-format/internal.ts";
import type { ServiceUpdate } from "./registration-options.ts";

/**
 * During an outage the oldest of more updates than this become one: they are refused or written together. So do those
 * that come while the one to blame is looked for among those before them.
 */
const MOST_PENDING = 32;

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
 *   update() ──▶ pending, in the text ──written──▶ the good value
 *                   │ refused, with others ──▶ the first half of them is tried, then the rest
 *                   └─refused, alone ──▶ dropped, its caller is rejected
 * ```
 */
export class DesiredRegistration {
  readonly #format: RegistrationFormat;
  readonly #key: string;
  #good: OwnRegistration;
  #pending: Pending[] = [];
  /** How many of the pending updates, from the first on, are in the text. */
  #tried = 0;
  /** A text was refused, and the update to blame is among so many, from the first on. */
  #suspects = 0;
  /** Only some of the suspects are in the text: a stream of updates would bring the one to blame back for ever. */
  #isSearching = false;
  #text: string;
  #version = 1;
  #goodVersion = 1;

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
    return this.#pending[this.#tried - 1]?.version ?? this.#goodVersion;
  }

  /** @param change with nothing undefined in it */
  update(change: ServiceUpdate): void {
    this.#version++;
    this.#pending.push({ version: this.#version, change, waiting: [] });
    while (this.#pending.length - this.#suspects > MOST_PENDING) this.#mergeAt(this.#suspects);
    if (!this.#isSearching) this.#try(this.#pending.length);
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
    const due = this.#pending.filter((pending) => pending.version <= version);
    if (due.length === 0) return;
    this.#good = this.#with(due);
    this.#goodVersion = Math.max(this.#goodVersion, version);
    this.#pending = this.#pending.slice(due.length);
    // The one to blame is among the others still, and no update that comes now is merged with it.
    this.#suspects = Math.max(0, this.#suspects - due.length);
    this.#isSearching = false;
    this.#try(this.#pending.length);
    for (const { waiting } of due) for (const done of waiting) done.resolve();
  }

  /**
   * etcd refused the text of this version.
   *
   * @returns whether another text is to be tried; false when no update is to blame
   */
  refused(version: number, error: Error): boolean {
    const count = this.#pending.filter((pending) => pending.version <= version).length;
    if (count === 0) return false;
    if (count > 1) {
      this.#suspects = count;
      this.#isSearching = true;
      this.#try(Math.ceil(count / 2));
      return true;
    }
    const [dropped, ...others] = this.#pending;
    this.#pending = others;
    this.#suspects = 0;
    this.#isSearching = false;
    this.#try(others.length);
    for (const done of dropped?.waiting ?? []) done.reject(error);
    return true;
  }

  /** No update will be written any more. */
  giveUp(error: Error): void {
    for (const { waiting } of this.#pending) for (const done of waiting.splice(0)) done.reject(error);
  }

  #mergeAt(index: number): void {
    const [first, second] = this.#pending.slice(index);
    if (!first || !second) return;
    const change = { ...first.change, ...second.change };
    for (const done of second.waiting) first.waiting.push(done);
    this.#pending.splice(index, 2, { version: second.version, change, waiting: first.waiting });
  }

  #try(count: number): void {
    this.#tried = count;
    this.#text = this.#encode(this.#with(this.#pending.slice(0, count)));
  }

  /** A codec of the user's own took it before; one that no longer does leaves the text as it is. */
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
