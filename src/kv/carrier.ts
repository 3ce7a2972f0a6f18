import type { Clock } from "../internal/clock.ts";
import type { CallOptions } from "../model/call-options.ts";

/** How the calls of one kind travel, one by one and together. */
export interface Carrier<Request, Answer> {
  /** For messages of errors. */
  readonly name: string;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
  /**
   * The key that a request writes: no two of one key are under way at once, and they are executed in the order of the
   * calls. Undefined for reads, of which that is not asked.
   */
  readonly writtenKey?: ((request: Request) => string) | undefined;
  key(request: Request): string;
  bytes(request: Request): number;
  /** How many operations of a txn it takes; one when left out. */
  readonly operations?: ((request: Request) => number) | undefined;
  one(request: Request, options: CallOptions): Promise<Answer>;
  /** One answer for each request, in order; and those whose requests should go alone in future. */
  many(requests: readonly Request[], options: CallOptions): Promise<{ answers: Answer[]; large: Request[] }>;
}
