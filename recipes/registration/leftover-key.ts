import type { KeyValue, LeaseId } from "../../src/index.ts";
import { log } from "../../src/internal/index.ts";
import type { BulkItem } from "./bulk-item.ts";
import type { KeyStep } from "./key-step.ts";

const debug = log("register");

/**
 * The key of an instance that was closed and that may stand there still, or again: etcd was out of reach at the end, or
 * a put that had timed out landed later. It is looked at, and deleted if it is on a lease of the group.
 *
 * Not by `Leftovers` of recipes/leases, which finds those of shared leases: a registration has the right to its own key
 * only, and asks the lease and each key again and again. A group follows its prefix, so it sees such a key at once; a
 * thousand of them go by the requests that its members have anyway.
 */
export class LeftoverKey implements BulkItem {
  readonly key: string;
  readonly needsLease = false;
  readonly #isOwn: (lease: LeaseId | undefined) => boolean;
  readonly #onGone: () => void;
  #over: KeyValue | undefined;
  #done = false;
  /** Whether the key was seen after the last step was asked for: then its answer may be older. */
  #seenSince = false;

  constructor(key: string, isOwn: (lease: LeaseId | undefined) => boolean, onGone: () => void) {
    this.key = key;
    this.#isOwn = isOwn;
    this.#onGone = onGone;
  }

  next(): KeyStep | undefined {
    if (this.#done) return undefined;
    this.#seenSince = false;
    return this.#over === undefined ? { type: "look" } : { type: "delete", over: this.#over };
  }

  /** A member has the key again: it is no leftover any more. */
  cancel(): void {
    this.#end();
  }

  /** It stands there again, or still. */
  seen(): void {
    this.#seenSince = true;
    this.#over = undefined;
  }

  done(): void {
    debug("%s had no owner any more, and was deleted", this.key);
    if (!this.#seenSince) this.#end();
  }

  found(kv: KeyValue | undefined): void {
    if (kv && this.#isOwn(kv.lease)) this.#over = kv;
    else if (!this.#seenSince) this.#end();
  }

  failed(): void {
    this.#over = undefined;
  }

  refused(error: Error): boolean {
    debug("%s is left to its lease: %s", this.key, error.message);
    this.#end();
    return false;
  }

  #end(): void {
    if (this.#done) return;
    this.#done = true;
    this.#onGone();
  }
}
