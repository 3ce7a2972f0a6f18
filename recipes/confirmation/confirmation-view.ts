import type { KeyValue, MirrorBatch } from "../../src/index.ts";
import { asError } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";
import { type ConfirmationPart, readKey } from "./confirmation-keys.ts";
import type { ConfirmationResult, PendingConfirmation } from "./confirmation-result.ts";
import { type RequestRecord, readDecision, readRequest } from "./records.ts";

export interface ConfirmationViewParts {
  readonly prefix: string;
  onRequested(pending: PendingConfirmation): void;
  onDecided(id: string, result: ConfirmationResult): void;
  /** Something under the prefix cannot be read. */
  onWarning(error: Error): void;
  /** Something of this confirmation changed. */
  onTouched(id: string): void;
}

type Phase = "requested" | "decided";

interface Entry {
  readonly kvs: Map<ConfirmationPart, KeyValue>;
  emitted: Phase | undefined;
}

/**
 * What was seen of the confirmations under a prefix, in etcd's order. Good for telling; what is true now must be asked
 * of etcd, because this can be behind.
 */
export class ConfirmationView {
  readonly #parts: ConfirmationViewParts;
  readonly #entries = new Map<string, Entry>();

  constructor(parts: ConfirmationViewParts) {
    this.#parts = parts;
  }

  /** Whether it was last seen waiting for its decision. */
  isRunning(id: string): boolean {
    const entry = this.#entries.get(id);
    return entry !== undefined && phaseOf(entry) === "requested";
  }

  apply({ puts, deletes }: MirrorBatch): void {
    const touched = new Set<string>();
    for (const { key } of deletes) {
      const place = readKey(this.#parts.prefix, key);
      if (!place) continue;
      const entry = this.#entries.get(place.id);
      entry?.kvs.delete(place.part);
      // What the same batch may put is another confirmation, and news.
      if (entry?.kvs.size === 0) this.#entries.delete(place.id);
      touched.add(place.id);
    }
    for (const kv of puts) {
      const place = readKey(this.#parts.prefix, kv.key);
      if (!place) {
        this.#parts.onWarning(new InvalidValueError(`${kv.key} is no key of a confirmation`));
        continue;
      }
      const entry = this.#entries.get(place.id) ?? { kvs: new Map(), emitted: undefined };
      this.#entries.set(place.id, entry);
      entry.kvs.set(place.part, kv);
      touched.add(place.id);
    }
    for (const id of touched) this.#changed(id);
  }

  #changed(id: string): void {
    const entry = this.#entries.get(id);
    if (entry) {
      const phase = phaseOf(entry);
      const news = phase !== undefined && phase !== entry.emitted;
      entry.emitted = phase ?? entry.emitted;
      if (news) this.#emit(id, entry);
    }
    this.#parts.onTouched(id);
  }

  #emit(id: string, { kvs }: Entry): void {
    try {
      const decision = kvs.get("decision");
      const request = kvs.get("request");
      if (decision) this.#parts.onDecided(id, readDecision(decision).result);
      else if (request) this.#parts.onRequested(asPending(id, readRequest(request)));
    } catch (error) {
      this.#parts.onWarning(asError(error));
    }
  }
}

export function asPending(id: string, { requestedAt, deadline }: RequestRecord): PendingConfirmation {
  return Object.freeze({ id, requestedAt, deadline });
}

/** Undefined while it is neither: its time is over and that was not written yet, or a key was made by hand. */
function phaseOf({ kvs }: Entry): Phase | undefined {
  if (kvs.has("decision")) return "decided";
  return kvs.has("request") && kvs.has("pending") ? "requested" : undefined;
}
