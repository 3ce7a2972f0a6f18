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
import type { TrackedKeys } from "./tracked-keys.ts";

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
  /** What else is due now and then. */
  readonly onTick: (nowMs: number) => Promise<void>;
  readonly isLive: () => boolean;
  warn(error: Error): void;
}

interface Deletion {
  readonly id: string;
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
        if (isLive()) await this.#sweep(signal);
        await this.#parts.onTick(nowMs);
        backoff.succeeded();
      } catch (error) {
        if (signal.aborted) return;
        warn(asError(error));
        pauseMs = Math.min(pauseMs, backoff.nextMs({ cause: error }));
      }
      await this.#wake.wait(runtime.clock, pauseMs, signal);
    }
  }

  async #sweep(signal: AbortSignal): Promise<void> {
    const { etcd, prefix, buckets, runtime, keys } = this.#parts;
    const due = keys.endedBy(runtime.clock.wallMs() - buckets.bucketMs);
    let refusal: { readonly error: unknown } | undefined;
    for (let next = 0; next < due.length; ) {
      const batch: Deletion[] = [];
      const room = new TxnRoom(this.#limits);
      for (; next < due.length; next++) {
        const id = due[next] as string;
        const known = keys.get(id);
        if (!known) continue;
        const deletion = { id, op: deleteAsKnown(prefix + id, known.modRevision) };
        if (!room.take(sizeOf(deletion))) break;
        batch.push(deletion);
      }
      if (batch.length === 0) continue;
      await sendInParts(batch, {
        limits: this.#limits,
        sizeOf,
        send: async (part) => {
          const { responses, revision } = await etcd.txn({ success: part.map(({ op }) => op) }, { signal });
          for (const [i, { id }] of part.entries()) if (succeeded(responses[i])) keys.missing(id, revision);
        },
        failed: (part, error) => {
          // One that is refused must not keep the others.
          if (!isOfOne(error) || part.length > 1) throw error;
          refusal ??= { error };
        },
      });
    }
    if (refusal) throw refusal.error;
  }
}

function sizeOf({ op }: Deletion): PartSize {
  return opSize(op);
}

function succeeded(answer: OpResult | undefined): boolean {
  return answer?.type === "txn" && answer.succeeded;
}
