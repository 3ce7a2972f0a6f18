import type { KeyValue, Lease } from "../../src/index.ts";
import { leavePlace, takePlace } from "./job-claim.ts";
import type { WorkerPort } from "./worker-port.ts";

/**
 * The worker's place among those who wait for a job: a key that is there while it has nothing to do. One write at a
 * time; what is wanted meanwhile is done after.
 */
export class WaitingPlace {
  readonly #port: WorkerPort;
  #lease: Lease | undefined;
  #wanted = false;
  #working = false;
  /** Revisions: the newer one says whether the key is there. */
  #taken = 0;
  #left = 0;

  constructor(port: WorkerPort) {
    this.#port = port;
  }

  /** Whether the key is there, or may be before long. */
  get isTaken(): boolean {
    return this.#working || this.#taken > this.#left;
  }

  take(lease: Lease): void {
    if (this.#lease !== lease) {
      this.#lease = lease;
      this.#taken = 0;
      this.#left = 0;
    }
    this.#wanted = true;
    if (!this.#working) void this.#work(lease);
  }

  leave(): void {
    this.#wanted = false;
    if (this.#lease && !this.#working && this.#taken > this.#left) void this.#work(this.#lease);
  }

  /** The key was deleted at this revision, by a txn of our own. */
  leftAt(revision: number): void {
    this.#wanted = false;
    this.#left = Math.max(this.#left, revision);
  }

  /** The mirror shows that a place is gone. @returns whether it was this one, and not deleted here */
  vanished(place: KeyValue): boolean {
    if (place.lease !== this.#lease?.id || place.modRevision !== this.#taken || this.#taken <= this.#left) return false;
    this.#left = this.#taken;
    return true;
  }

  async #work(lease: Lease): Promise<void> {
    const { keys } = this.#port;
    this.#working = true;
    try {
      while (this.#lease === lease && !lease.signal.aborted && this.#wanted !== this.#taken > this.#left) {
        const taking = this.#wanted;
        const known = Math.max(this.#taken, this.#left);
        const options = this.#port.writes(lease);
        const revision = await (taking ? takePlace(keys, lease, options) : leavePlace(keys, lease.id, options));
        // Of a new lease it says nothing.
        if (this.#lease !== lease) break;
        // Of another history: etcd was restored, and counts from there on.
        if (revision < known) {
          this.#taken = 0;
          this.#left = 0;
        }
        if (taking) this.#taken = revision;
        else this.#left = Math.max(this.#left, revision);
      }
    } catch (error) {
      this.#port.onNews({ type: "failure", error, lease });
    } finally {
      this.#working = false;
      // A new lease came while the old one was written to.
      if (this.#lease && this.#lease !== lease && this.#wanted) void this.#work(this.#lease);
    }
  }
}
