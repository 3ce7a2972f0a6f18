import type { KeyValue, MirrorBatch } from "../../src/index.ts";
import { asError } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";
import { type ConfirmationPart, readKey } from "./confirmation-keys.ts";
import type { ConfirmationResult, PendingConfirmation } from "./confirmation-result.ts";
import { type RequestRecord, readDecision, readRequest } from "./records.ts";

/**
 * What a step of the mirror came to. `touched`: something of this confirmation changed. `warning`: a key cannot be
 * read.
 */
export type ConfirmationNews =
  | { readonly type: "requested"; readonly pending: PendingConfirmation }
  | { readonly type: "decided"; readonly id: string; readonly result: ConfirmationResult }
  | { readonly type: "warning"; readonly error: Error }
  | { readonly type: "touched"; readonly id: string };

type Phase = "requested" | "decided";

interface Entry {
  readonly kvs: Map<ConfirmationPart, KeyValue>;
  emitted: Phase | undefined;
}

/**
 * What was seen of the confirmations under a prefix, in etcd's order. Good for events; what is true now must be asked
 * of etcd, because this can be behind.
 */
export class ConfirmationView {
  readonly #prefix: string;
  readonly #entries = new Map<string, Entry>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Whether it was last seen waiting for its decision. */
  isRunning(id: string): boolean {
    const entry = this.#entries.get(id);
    return entry !== undefined && phaseOf(entry) === "requested";
  }

  /** @returns what happened, in order */
  apply({ puts, deletes }: MirrorBatch): readonly ConfirmationNews[] {
    const news: ConfirmationNews[] = [];
    const touched = new Set<string>();
    for (const { key } of deletes) {
      const place = readKey(this.#prefix, key);
      if (!place) continue;
      const entry = this.#entries.get(place.id);
      entry?.kvs.delete(place.part);
      // What the same batch may put is another confirmation, and news.
      if (entry?.kvs.size === 0) this.#entries.delete(place.id);
      touched.add(place.id);
    }
    for (const kv of puts) {
      const place = readKey(this.#prefix, kv.key);
      if (!place) {
        news.push({ type: "warning", error: new InvalidValueError(`${kv.key} is no key of a confirmation`) });
        continue;
      }
      const entry = this.#entries.get(place.id) ?? { kvs: new Map(), emitted: undefined };
      this.#entries.set(place.id, entry);
      entry.kvs.set(place.part, kv);
      touched.add(place.id);
    }
    for (const id of touched) {
      const entry = this.#entries.get(id);
      const newest = entry && newsOf(id, entry);
      if (newest) news.push(newest);
      news.push({ type: "touched", id });
    }
    return news;
  }
}

/** Once for each phase. */
function newsOf(id: string, entry: Entry): ConfirmationNews | undefined {
  const phase = phaseOf(entry);
  if (phase === undefined || phase === entry.emitted) return undefined;
  entry.emitted = phase;
  const decision = entry.kvs.get("decision");
  const request = entry.kvs.get("request");
  try {
    if (decision) return { type: "decided", id, result: readDecision(decision).result };
    return request && { type: "requested", pending: asPending(id, readRequest(request)) };
  } catch (error) {
    return { type: "warning", error: asError(error) };
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
