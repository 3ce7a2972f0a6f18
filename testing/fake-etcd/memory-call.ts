import { type Failure, translateFailure } from "../../src/connection/errors/error-translation.ts";
import { outOfTime } from "../../src/connection/out-of-time.ts";
import { GrpcFailure, grpcFailure } from "../../src/grpc/grpc-failure.ts";
import { grpcStatus } from "../../src/grpc/index.ts";
import { type Clock, onAbort, type Timer } from "../../src/internal/index.ts";
import type { Loss, Network } from "./network.ts";

export interface MemoryCall<T> {
  readonly name: string;
  /** Reads and what is idempotent are repeated; a write is, if it provably was not executed. */
  readonly kind: "read" | "idempotent" | "write";
  /** How long the request is. */
  readonly requestBytes?: number | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
  /** Which member to ask next. */
  network(): Network;
  /** Of each attempt that failed. */
  failed?(grpcStatus: number): void;
  /** At the server. @throws GrpcFailure */
  execute(): T;
  /** Ends it early. */
  readonly ended: AbortSignal;
}

/** An attempt of what may be repeated takes a third of the time, 2 s at most: so a second one always follows. */
const attemptLimitMs = (timeoutMs: number) => Math.min(2_000, timeoutMs / 3);
const PAUSE_MS = 20;

/** One call over a Network, with the attempts, errors and doubts that the connection to a real etcd has. */
export function call<T>(parts: MemoryCall<T>): Promise<T> {
  const { name, kind, requestBytes = 0, timeoutMs, signal, clock, ended } = parts;
  return new Promise<T>((resolve, reject) => {
    let over = false;
    let maybeExecuted = false;
    let attempts = 0;
    let last: Failure | undefined;
    let timer: Timer | undefined;
    const settle = (how: () => void) => {
      if (over) return;
      over = true;
      for (const release of releases) release();
      timer?.cancel();
      deadline.cancel();
      how();
    };
    const deadline = clock.timer(timeoutMs, () => {
      // The attempt that is under way may have been executed, too.
      const unknown = kind !== "read" && (maybeExecuted || !isPausing);
      settle(() => reject(outOfTime({ name, timeoutMs, last, outcomeUnknown: unknown })));
    });
    const releases: (() => void)[] = [];
    let isPausing = false;
    const failed = (attempt: number, cause: GrpcFailure) => {
      if (over || attempt !== attempts) return;
      timer?.cancel();
      parts.failed?.(cause.code);
      last = translateFailure(cause, { write: kind !== "read", earlierUnknown: maybeExecuted, requestBytes });
      if (kind !== "read" && !last.neverExecuted) maybeExecuted = true;
      const { error, worthRetrying, neverExecuted } = last;
      if (!worthRetrying || (kind === "write" && !neverExecuted)) {
        settle(() => reject(error));
        return;
      }
      isPausing = true;
      timer = clock.timer(PAUSE_MS, begin);
    };
    const begin = () => {
      if (over) return;
      isPausing = false;
      const attempt = ++attempts;
      const network = parts.network();
      const lose = (how: Loss) => failed(attempt, lost(how));
      if (kind !== "write") {
        const silent = grpcFailure(grpcStatus.DEADLINE_EXCEEDED, "no answer within the time of the attempt");
        timer = clock.timer(attemptLimitMs(timeoutMs), () => failed(attempt, silent));
      }
      network.request(() => {
        let answer: () => void;
        try {
          const value = parts.execute();
          answer = () => {
            if (attempt === attempts) settle(() => resolve(value));
          };
        } catch (cause) {
          if (!(cause instanceof GrpcFailure)) throw cause;
          answer = () => failed(attempt, cause);
        }
        network.answer(answer, lose);
      }, lose);
    };
    const end = (by: AbortSignal | undefined) => onAbort(by, () => settle(() => reject(by?.reason)));
    releases.push(end(ended));
    if (!over) releases.push(end(signal));
    begin();
  });
}

function lost(how: Loss): GrpcFailure {
  const neverExecuted = how === "neverLeft";
  const message = neverExecuted ? "connection refused" : "the connection was reset";
  return grpcFailure(grpcStatus.UNAVAILABLE, message, { neverExecuted });
}
