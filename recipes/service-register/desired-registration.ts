import { type Deferred, quietDeferred } from "../../src/internal/index.ts";
import { encodeRegistration, type Registration, type RegistrationFormat } from "../registration-format/index.ts";
import type { ServiceUpdate } from "./registration-options.ts";

/** What should stand in etcd: the newest of all updates, and who waits for which of them. */
export class DesiredRegistration {
  readonly #format: RegistrationFormat;
  #registration: Registration;
  #text: string;
  #version = 1;
  #waiting: { version: number; done: Deferred<void> }[] = [];

  constructor(format: RegistrationFormat, registration: Registration) {
    this.#format = format;
    this.#registration = registration;
    this.#text = encodeRegistration(format, registration);
  }

  get registration(): Registration {
    return this.#registration;
  }

  get text(): string {
    return this.#text;
  }

  get version(): number {
    return this.#version;
  }

  update(update: ServiceUpdate): void {
    const given = Object.fromEntries(Object.entries(update).filter(([, value]) => value !== undefined));
    this.#registration = { ...this.#registration, ...given };
    this.#text = encodeRegistration(this.#format, this.#registration);
    this.#version++;
  }

  /** Resolves when this version, or a newer one, stands in etcd. */
  whenWritten(): Promise<void> {
    const done = quietDeferred<void>();
    this.#waiting.push({ version: this.#version, done });
    return done.promise;
  }

  get isAwaited(): boolean {
    return this.#waiting.length > 0;
  }

  written(version: number): void {
    const due = this.#waiting.filter((waiting) => waiting.version <= version);
    this.#waiting = this.#waiting.filter((waiting) => waiting.version > version);
    for (const { done } of due) done.resolve();
  }

  giveUp(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { done } of waiting) done.reject(error);
  }
}
