import * as z from "zod/mini";
import { InvalidOptionError } from "../../src/index.ts";
import { once, parseOptions, shown, unawaited } from "../../src/internal/index.ts";
import { callFields, checkId, checkName, checkTtlSeconds, clientField, delayAbove0 } from "../option-schemas/index.ts";
import type { RecipeClientOptions } from "../recipe/index.ts";

/** Options of a Queue. All may be left out. */
export interface QueueOptions extends RecipeClientOptions {
  /** How long the jobs of a dead worker stay away from the others, in whole seconds, 1 to 9000000000. @default 10 */
  ttlSeconds?: number | undefined;
  /**
   * How often a job is handed to a worker before it becomes a dead letter; at least 1. All workers of a queue should
   * say the same.
   *
   * @default 5
   */
  maxAttempts?: number | undefined;
  /**
   * How long a worker may hold a job, in seconds, 0.1 to 2000000; then it goes back. @default as long as the worker
   * lives
   */
  visibilitySeconds?: number | undefined;
}

export interface QueueCallOptions {
  /** Ends the call: it rejects with `signal.reason`. What was sent is not taken back. */
  signal?: AbortSignal | undefined;
  /** How long it is tried again while etcd is out of reach, in milliseconds, below 2^31. @default 10000 */
  timeoutMs?: number | undefined;
}

export interface EnqueueOptions extends QueueCallOptions {
  /**
   * How long the job stays away from workers, in milliseconds, at most a hundred years, by the clock of this process
   * and theirs.
   *
   * @default 0
   */
  delayMs?: number | undefined;
  /**
   * Names the job: as long as it, or its dead letter, is in the queue, another one with this id is not added. At most
   * 65536 bytes, without a slash at its beginning. @default a new one
   */
  id?: string | undefined;
}

export type EnqueueManyOptions = Omit<EnqueueOptions, "id">;

export interface DequeueOptions {
  /** Ends the wait: it rejects with `signal.reason`, and nothing is left behind. */
  signal?: AbortSignal | undefined;
  /** How long this job may be held, in seconds, 0.1 to 2000000. @default the queue's */
  visibilitySeconds?: number | undefined;
}

const DEFAULT_TIMEOUT_MS = 10_000;

const signal = () => callFields().signal;
const timeoutMs = () => z._default(delayAbove0(), DEFAULT_TIMEOUT_MS);
const delayMs = () =>
  z._default(
    z
      .number("must be a number of milliseconds")
      .check(z.minimum(0, "must be at least 0"), z.maximum(100 * 365 * 86_400_000, "must be at most a hundred years")),
    0,
  );
const visibilitySeconds = () =>
  z.optional(
    z
      .number("must be a number of seconds")
      .check(z.minimum(0.1, "must be at least 0.1"), z.maximum(2_000_000, "must be at most 2000000")),
  );

const problem = "must be an object";
const queueSchema = once(() =>
  z.strictObject(
    {
      client: clientField(),
      ttlSeconds: z._default(z.unknown(), 10),
      maxAttempts: z._default(z.int("must be a whole number").check(z.minimum(1, "must be at least 1")), 5),
      visibilitySeconds: visibilitySeconds(),
    },
    problem,
  ),
);
const callSchema = once(() => z.strictObject({ signal: signal(), timeoutMs: timeoutMs() }, problem));
const enqueueSchema = once(() =>
  z.strictObject(
    { signal: signal(), timeoutMs: timeoutMs(), delayMs: delayMs(), id: z.optional(z.unknown()) },
    problem,
  ),
);
const enqueueManySchema = once(() =>
  z.strictObject({ signal: signal(), timeoutMs: timeoutMs(), delayMs: delayMs() }, problem),
);
const dequeueSchema = once(() => z.strictObject({ signal: signal(), visibilitySeconds: visibilitySeconds() }, problem));
const settleSchema = once(() => z.strictObject({ signal: signal() }, problem));
const releaseSchema = once(() => z.strictObject({ signal: signal(), delayMs: delayMs() }, problem));

/** Of calls that are made for each job and mostly have no options: nothing is parsed then. */
const none = {};

export interface ResolvedQueue {
  readonly client: RecipeClientOptions["client"];
  readonly ttlSeconds: number;
  readonly maxAttempts: number;
  readonly visibilitySeconds: number | undefined;
}

export interface ResolvedCall {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs: number;
}

export interface ResolvedEnqueue extends ResolvedCall {
  readonly delayMs: number;
  readonly id: string | undefined;
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveQueue(name: unknown, options: unknown): ResolvedQueue {
  const what = "Queue";
  checkName(what, name);
  const { client, ttlSeconds, maxAttempts, visibilitySeconds } = parseOptions(what, queueSchema, options);
  checkTtlSeconds(what, ttlSeconds);
  return { client, ttlSeconds, maxAttempts, visibilitySeconds };
}

/** @throws InvalidOptionError */
export function resolveEnqueue(value: unknown, options: unknown): ResolvedEnqueue {
  const what = "Queue.enqueue";
  checkJobValue(what, value);
  const { id, ...resolved } = parseOptions(what, enqueueSchema, options);
  if (id !== undefined) checkId(what, id);
  return { ...resolved, id: id as string | undefined };
}

/** @throws InvalidOptionError */
export function resolveEnqueueMany(values: unknown, options: unknown): Omit<ResolvedEnqueue, "id"> {
  const what = "Queue.enqueueMany";
  if (!Array.isArray(values))
    throw new InvalidOptionError(what, "values", `must be an array of strings, not ${shown(values)}`);
  for (const value of values) checkJobValue(what, value, "values");
  return parseOptions(what, enqueueManySchema, options);
}

/** @throws InvalidOptionError */
export function resolveCall(what: string, options: unknown): ResolvedCall {
  return parseOptions(what, callSchema, options);
}

/** @throws InvalidOptionError */
export function resolveDequeue(options: unknown): DequeueOptions {
  return options === undefined ? none : parseOptions("Queue.dequeue", dequeueSchema, options);
}

/** @throws InvalidOptionError */
export function resolveSettle(what: string, options: unknown): { signal?: AbortSignal | undefined } {
  return options === undefined ? none : parseOptions(what, settleSchema, options);
}

/** @throws InvalidOptionError */
export function resolveRelease(options: unknown): { signal?: AbortSignal | undefined; delayMs: number } {
  return parseOptions("Job.release", releaseSchema, options);
}

function checkJobValue(what: string, value: unknown, option = "value"): asserts value is string {
  if (typeof value === "string") return;
  const but = option === "value" ? "must be a string" : "must be strings";
  throw new InvalidOptionError(what, option, `${but}, not ${shown(value)}${unawaited(value)}`);
}
