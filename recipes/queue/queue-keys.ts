import { type KeyRange, type LeaseId, prefix } from "../../src/index.ts";

const rooms = ["jobs", "workers", "dead", "waiting"] as const;

/**
 * `jobs/<id>`: what is to be done, and who does it. `workers/<lease>`: a worker that has claimed jobs, on its lease: as
 * long as it is there they are its own. `dead/<id>`: what was tried too often. `waiting/<lease>`: a worker that has
 * nothing to do, on its lease.
 */
export type QueueRoom = (typeof rooms)[number];

/** The keys of one queue. */
export class QueueKeys {
  readonly name: string;
  readonly jobs: KeyRange;
  readonly letters: KeyRange;
  readonly #prefix: string;

  constructor(name: string) {
    this.name = name;
    this.#prefix = `${name}/`;
    this.jobs = prefix(`${this.#prefix}jobs/`);
    this.letters = prefix(`${this.#prefix}dead/`);
  }

  job(id: string): string {
    return `${this.#prefix}jobs/${id}`;
  }

  worker(lease: LeaseId): string {
    return `${this.#prefix}workers/${lease}`;
  }

  letter(id: string): string {
    return `${this.#prefix}dead/${id}`;
  }

  waiting(lease: LeaseId): string {
    return `${this.#prefix}waiting/${lease}`;
  }

  /** What a key of this queue is, or undefined for one that is none of ours. */
  read(key: string): { room: QueueRoom; id: string } | undefined {
    const start = this.#prefix.length;
    const slash = key.indexOf("/", start);
    // Bytes that are not UTF-8 cannot be written as text again: such a key could not be reached.
    if (slash < 0 || slash === key.length - 1 || key.includes("\ufffd")) return undefined;
    const name = key.slice(start, slash);
    const room = rooms.find((candidate) => candidate === name);
    return room && { room, id: key.slice(slash + 1) };
  }
}
