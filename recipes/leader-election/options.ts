import * as z from "zod/mini";
import { InvalidOptionError } from "../../src/index.ts";
import { once, parseOptions } from "../../src/internal/index.ts";
import {
  checkCallable,
  checkName,
  checkTtlSeconds,
  checkValue,
  clientField,
  healthFields,
  resolveHealth,
} from "../option-schemas/index.ts";
import type { RecipeClientOptions } from "../recipe/index.ts";

/** Options of a LeaderElection. All may be left out. */
export interface LeaderElectionOptions extends RecipeClientOptions {
  /**
   * How long the key of a dead leader stands in the way of the others, in whole seconds, 1 to 9000000000. A minimum: a
   * leader change in etcd gives a lease its whole TTL again.
   *
   * @default 60
   */
  ttlSeconds?: number | undefined;
  /**
   * Seconds between renewals; above 0, at most half the TTL: one that fails must leave time for another.
   *
   * @default half the TTL
   */
  renewEverySeconds?: number | undefined;
  /**
   * Says whether this candidate can lead. While it says false, throws or does not answer in time, it does not campaign;
   * a leader resigns, and campaigns again when it says true. What it throws is a `warning`, once for the same message.
   * Its `signal` aborts when its time is over and when `lead()` is.
   *
   * @default it always can
   */
  health?: ((signal: AbortSignal) => Promise<boolean> | boolean) | undefined;
  /**
   * Seconds from one health check to the next, and the longest that one may take; at least 0.1.
   *
   * @default half the TTL
   */
  healthEverySeconds?: number | undefined;
}

export interface LeadOptions {
  /** Ends the campaign or the term; `lead()` rejects with its reason once the work has settled. */
  signal?: AbortSignal | undefined;
}

export interface ObserveOptions {
  /** Ends the iteration with its reason. */
  signal?: AbortSignal | undefined;
}

export interface ResolvedElection {
  readonly name: string;
  readonly candidate: string;
  readonly ttlSeconds: number;
  readonly renewEverySeconds: number;
  readonly health: NonNullable<LeaderElectionOptions["health"]> | undefined;
  readonly healthEveryMs: number;
  readonly client: RecipeClientOptions["client"];
}

const optionsSchema = once(() =>
  z.strictObject(
    {
      client: clientField(),
      // Checked by checkTtlSeconds, as everywhere.
      ttlSeconds: z.optional(z.unknown()),
      renewEverySeconds: z.optional(z.number("must be a number of seconds").check(z.gt(0, "must be above 0"))),
      ...healthFields(),
    },
    "must be an object",
  ),
);

const signalSchema = once(() =>
  z.strictObject(
    { signal: z.optional(z.instanceof(AbortSignal, { error: "must be an AbortSignal" })) },
    "must be an object",
  ),
);

const DEFAULT_TTL_SECONDS = 60;

/** @throws InvalidOptionError that names the argument or option */
export function resolveElection(name: unknown, candidate: unknown, options: unknown): ResolvedElection {
  const what = "LeaderElection";
  checkName(what, name);
  checkCandidate(what, "candidate", candidate);
  const parsed = parseOptions(what, optionsSchema, options);
  const { ttlSeconds = DEFAULT_TTL_SECONDS } = parsed;
  checkTtlSeconds(what, ttlSeconds);
  const { renewEverySeconds = ttlSeconds / 2, client } = parsed;
  if (renewEverySeconds > ttlSeconds / 2) {
    throw new InvalidOptionError(
      what,
      "renewEverySeconds",
      `must be at most half of ttlSeconds (${ttlSeconds}), so that one renewal can fail, not ${renewEverySeconds}`,
    );
  }
  return { name, candidate, ttlSeconds, renewEverySeconds, ...resolveHealth(what, parsed, ttlSeconds), client };
}

/** @throws InvalidOptionError */
export function resolveLead(work: unknown, options: unknown): LeadOptions {
  const what = "LeaderElection.lead";
  checkCallable(what, work, "work");
  return parseOptions(what, signalSchema, options);
}

/** @throws InvalidOptionError */
export function resolveObserve(options: unknown): ObserveOptions {
  return parseOptions("LeaderElection.observe", signalSchema, options);
}

/** @throws InvalidOptionError unless it is a non-empty string, and well-formed */
export function checkCandidate(what: string, argument: string, candidate: unknown): asserts candidate is string {
  checkValue(what, candidate, argument);
  if (candidate === "") throw new InvalidOptionError(what, argument, "must not be empty");
}
