import type { DescribedOptions } from "../connection/index.ts";
import type { Clock } from "../internal/clock.ts";
import type { UsedKeys } from "./key-turns.ts";

/** How the calls of one kind travel, one by one and together. */
export interface BatchedCalls<Request, Answer> {
  /** For messages of errors. */
  readonly name: string;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
  /** Why no endpoint can be reached, while that is so. */
  readonly unreached?: (() => Error | undefined) | undefined;
  /**
   * The keys that a write uses: no two of which one writes what the other uses are under way at once, and they are
   * executed in the order of the calls. Left out for reads, of which that is not asked.
   */
  readonly usedKeys?: ((request: Request) => UsedKeys) | undefined;
  /** The call that its caller made, as gRPC names it. Left out where a batch is one call of this library's own. */
  readonly method?: ((request: Request) => string) | undefined;
  key(request: Request): string;
  bytes(request: Request): number;
  /** How many operations of a txn it takes; one when left out. */
  readonly operations?: ((request: Request) => number) | undefined;
  /** How many operations stand in it, if it is a txn itself; none when left out. */
  readonly nested?: ((request: Request) => number) | undefined;
  /** Whether etcd refuses it when its space is used up. Left out where it refuses no batch. */
  readonly needsSpace?: ((request: Request) => boolean) | undefined;
  one(request: Request, options: DescribedOptions): Promise<Answer>;
  /** One answer for each request, in order; and those whose requests should go alone in future. */
  many(requests: readonly Request[], options: DescribedOptions): Promise<{ answers: Answer[]; large: Request[] }>;
}
