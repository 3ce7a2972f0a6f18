import { type EtcdClient, ListenerFailedError } from "../../src/index.ts";
import type { Runtime } from "../../src/internal/index.ts";
import { asError } from "../../src/internal/index.ts";
import { type Hold, IdLanes } from "../lanes/index.ts";
import type { CacheExpirerOptions, ExpireReason } from "./options.ts";
import { stateOf, type TrackedKeys } from "./tracked-keys.ts";

export interface CleanerParts {
  readonly etcd: EtcdClient;
  readonly prefix: string;
  readonly keys: TrackedKeys;
  readonly runtime: Runtime;
  readonly concurrency: number;
  readonly onExpire: CacheExpirerOptions["onExpire"];
  /** Aborts with the end: no `onExpire` begins after that. */
  readonly signal: AbortSignal;
  onWarning(error: Error): void;
  cleaned(id: string, reason: ExpireReason): void;
}

/** Calls `onExpire` for ids whose keys are gone, and never for one whose key is there. */
export class Cleaner {
  readonly #parts: CleanerParts;
  readonly #lanes: IdLanes<ExpireReason>;

  constructor(parts: CleanerParts) {
    this.#parts = parts;
    this.#lanes = new IdLanes<ExpireReason>({
      concurrency: parts.concurrency,
      runtime: parts.runtime,
      run: (id, reason) => this.#clean(id, reason),
      // The files of an id are cleaned once, however often it went.
      merge: (reasons) => reasons.slice(-1),
      onWarning: (_id, _reason, error) => parts.onWarning(error),
    });
  }

  clean(id: string, reason: ExpireReason): void {
    this.#lanes.add(id, reason);
  }

  /** Takes back what is to be cleaned, waits for what is being cleaned, and lets nothing begin before the release. */
  hold(id: string): Promise<Hold<ExpireReason>> {
    return this.#lanes.hold(id);
  }

  /** Begins nothing any more; resolves when nothing runs. */
  end(): Promise<void> {
    return this.#lanes.end();
  }

  async #clean(id: string, reason: ExpireReason): Promise<void> {
    const { etcd, prefix, keys, onExpire, signal, cleaned } = this.#parts;
    // Not from the mirror: it may have been tracked a moment ago.
    const kv = await etcd.get(prefix + id, { signal });
    // It ended while the answer was on its last steps.
    if (signal.aborted) return;
    if (kv) {
      keys.stands(id, stateOf(kv));
      return;
    }
    try {
      await onExpire(id, reason);
    } catch (cause) {
      const { message } = asError(cause);
      throw new ListenerFailedError(`onExpire(${JSON.stringify(id)}) failed, and is called again: ${message}`, {
        cause,
      });
    }
    cleaned(id, reason);
  }
}
