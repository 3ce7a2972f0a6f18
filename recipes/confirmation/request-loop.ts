import type { KeyValue } from "../../src/index.ts";
import { type Clock, endsRetries, type Runtime, Wake } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";
import { LOOK_AGAIN_MS } from "../follow/index.ts";
import { retry, WarnOnce } from "../retries/index.ts";
import type { ConfirmationResult } from "./confirmation-result.ts";
import type { ConfirmationStore } from "./confirmation-store.ts";
import { newDecision } from "./decide.ts";
import { type RequestRecord, readDecision, readRequest } from "./records.ts";

export interface RequestLoopParts {
  readonly id: string;
  readonly timeoutSeconds: number;
  readonly store: ConfirmationStore;
  readonly runtime: Runtime;
  /** Whether it was last seen waiting for its decision: then there is nothing to ask etcd for. */
  seenRunning(): boolean;
  onWarning(error: Error): void;
}

/** One requester: opens the request or picks it up, and waits until its decision stands in etcd. */
export class RequestLoop {
  readonly #parts: RequestLoopParts;
  readonly #wake = new Wake();
  #record: RequestRecord | undefined;
  /** The deadline on the monotonic clock, so that a wall clock that is set moves nothing. */
  #dueAtMs = 0;

  constructor(parts: RequestLoopParts) {
    this.#parts = parts;
  }

  /** Says that something of this confirmation changed. */
  wake(): void {
    this.#wake.set();
  }

  /**
   * @returns the decision that stands in etcd
   * @throws `signal.reason`; what etcd refuses before the request was opened or found; ClientClosedError;
   *   InvalidValueError for a decision that cannot be read
   */
  async run(signal: AbortSignal): Promise<ConfirmationResult> {
    const { runtime, onWarning } = this.#parts;
    const warnings = new WarnOnce(onWarning);
    const attempt = async (worked: () => void) => {
      for (;;) {
        const result = await this.#step(signal);
        if (result) return result;
        worked();
        await this.#untilWorthALook(signal);
        signal.throwIfAborted();
      }
    };
    return retry(attempt, {
      runtime,
      signal,
      backoff: { initialMs: 100 },
      leftMs: () => this.#record && this.#dueAtMs - runtime.clock.monotonicMs(),
      ends: (error) => endsRetries(error, this.#record !== undefined) || error instanceof InvalidValueError,
      onWarning: (error) => warnings.warn(error),
    });
  }

  /** Asks etcd how it stands, and does what is to be done; undefined while there is nothing but to wait. */
  async #step(signal: AbortSignal): Promise<ConfirmationResult | undefined> {
    const { id, store, runtime } = this.#parts;
    if (!this.#record && (await this.#open(signal))) return undefined;
    for (;;) {
      const state = await store.read(id, { signal });
      if (state.decision) return readDecision(state.decision).result;
      if (state.request) this.#adopt(state.request);
      const inTime = this.#record === undefined || runtime.clock.monotonicMs() < this.#dueAtMs;
      if (inTime && !state.request) {
        // etcd was wiped: it goes on with the time that it has left.
        if (await this.#open(signal)) return undefined;
        continue;
      }
      if (inTime && state.pending) return undefined;
      // Whichever was faster, the next look shows the decision that counts.
      const timeout = newDecision(runtime, { decision: "timeout" });
      await store.decide(id, state, timeout, inTime ? "gone" : "either", { signal });
    }
  }

  /** @returns whether it was written; if not, etcd knows of it already */
  async #open(signal: AbortSignal): Promise<boolean> {
    const { id, store, timeoutSeconds, runtime } = this.#parts;
    const { clock } = runtime;
    const known = this.#record;
    const seconds = known ? Math.max(1, Math.ceil((this.#dueAtMs - clock.monotonicMs()) / 1_000)) : timeoutSeconds;
    const written = await store.open(id, seconds, () => known ?? newRequest(clock, timeoutSeconds), { signal });
    if (written) this.#remember(written);
    return written !== undefined;
  }

  /** Takes over the deadline that stands in etcd. */
  #adopt(request: KeyValue): void {
    try {
      this.#remember(readRequest(request));
    } catch {
      // The view has shown it. The pending key still says how long it runs; this is how long it runs at most.
      this.#remember(this.#record ?? newRequest(this.#parts.runtime.clock, this.#parts.timeoutSeconds));
    }
  }

  #remember(record: RequestRecord): void {
    if (this.#record?.deadline !== record.deadline) {
      const { clock } = this.#parts.runtime;
      this.#dueAtMs = clock.monotonicMs() + record.deadline - clock.wallMs();
    }
    this.#record = record;
  }

  async #untilWorthALook(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts.runtime;
    const lookAtMs = Math.min(this.#dueAtMs, clock.monotonicMs() + LOOK_AGAIN_MS);
    while (!signal.aborted) {
      const leftMs = lookAtMs - clock.monotonicMs();
      if (leftMs <= 0) return;
      await this.#wake.wait(clock, leftMs, signal);
      if (!this.#parts.seenRunning()) return;
    }
  }
}

function newRequest(clock: Clock, timeoutSeconds: number): RequestRecord {
  const requestedAt = clock.wallMs();
  return { requestedAt, deadline: requestedAt + timeoutSeconds * 1_000 };
}
