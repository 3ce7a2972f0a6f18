import type { EtcdClient, Op, OpResult } from "../../src/index.ts";
import {
  asError,
  Backoff,
  isOfOne,
  opSize,
  type PartSize,
  type Runtime,
  ServerLimits,
  sendInParts,
  TxnRoom,
  Wake,
} from "../../src/internal/index.ts";
import type { Buckets } from "./buckets.ts";
import { deleteAsKnown } from "./touches.ts";
import type { Tracked, TrackedKeys } from "./tracked-keys.ts";

/** Buckets of a short TTL are not worth a timer each. */
const SHORTEST_PAUSE_MS = 50;
/** The wall clock may be set meanwhile. */
const LONGEST_PAUSE_MS = 3_600_000;

export interface SweeperParts {
  readonly etcd: EtcdClient;
  readonly prefix: string;
  readonly buckets: Buckets;
  readonly runtime: Runtime;
  readonly keys: TrackedKeys;
  /** What else is due now and then; and the ids of keys that were gone already, which nothing else tells of. */
  readonly onTick: (nowMs: number, gone: readonly string[]) => Promise<void>;
  readonly isLive: () => boolean;
  warn(error: Error): void;
}

interface Deletion {
  readonly id: string;
  readonly known: Tracked;
  readonly op: Op;
}

/**
 * Deletes keys one bucket past their time: a leader change in etcd gives every lease its whole TTL again, so leases alone
 * would be late by a TTL and more. Each deletion is "if the key is as known": what was touched meanwhile stays.
 */
export class Sweeper {
  readonly #parts: SweeperParts;
  readonly #wake = new Wake();
  readonly #limits: ServerLimits;

  constructor(parts: SweeperParts) {
    this.#parts = parts;
    this.#limits = ServerLimits.of(parts.etcd);
  }

  /** Looks now: etcd is back, or there is something new. */
  wake(): void {
    this.#wake.set();
  }

  async run(signal: AbortSignal): Promise<void> {
    const { runtime, buckets, isLive, warn } = this.#parts;
    const backoff = new Backoff(runtime, { initialMs: 100 });
    while (!signal.aborted) {
      const nowMs = runtime.clock.wallMs();
      let pauseMs = Math.min(Math.max(SHORTEST_PAUSE_MS, buckets.next(nowMs) - nowMs), LONGEST_PAUSE_MS);
      try {
        const gone = isLive() ? await this.#sweep(signal) : [];
        await this.#parts.onTick(nowMs, gone);
        backoff.succeeded();
      } catch (error) {
        if (signal.aborted) return;
        warn(asError(error));
        pauseMs = Math.min(pauseMs, backoff.nextMs({ cause: error }));
      }
      await this.#wake.wait(runtime.clock, pauseMs, signal);
    }
  }

  /** @returns the ids that were gone already, though etcd's last answer said something else */
  async #sweep(signal: AbortSignal): Promise<string[]> {
    const { etcd, prefix, buckets, runtime, keys } = this.#parts;
    const due = keys.endedBy(runtime.clock.wallMs() - buckets.bucketMs);
    const gone: string[] = [];
    let refusal: { readonly error: unknown } | undefined;
    for (let next = 0; next < due.length; ) {
      const batch: Deletion[] = [];
      const room = new TxnRoom(this.#limits);
      for (; next < due.length; next++) {
        const id = due[next] as string;
        const known = keys.get(id);
        if (!known) continue;
        const deletion = { id, known, op: deleteAsKnown(prefix + id, known.modRevision) };
        if (!room.take(sizeOf(deletion))) break;
        batch.push(deletion);
      }
      if (batch.length === 0) continue;
      await sendInParts(batch, {
        limits: this.#limits,
        sizeOf,
        send: async (part) => {
          const { responses, revision } = await etcd.txn({ success: part.map(({ op }) => op) }, { signal });
          for (const [i, { id, known }] of part.entries()) {
            if (succeeded(responses[i])) keys.missing(id, revision);
            else if (keys.refuted(id, known)) gone.push(id);
          }
        },
        failed: (part, error) => {
          // One that is refused must not keep the others.
          if (!isOfOne(error) || part.length > 1) throw error;
          refusal ??= { error };
        },
      });
    }
    if (refusal) throw refusal.error;
    return gone;
  }
}

function sizeOf({ op }: Deletion): PartSize {
  return opSize(op);
}

function succeeded(answer: OpResult | undefined): boolean {
  return answer?.type === "txn" && answer.succeeded;
}
