import * as z from "zod/mini";
import { InvalidOptionError } from "../../src/index.ts";
import {
  checkPlainObject,
  isPlainObject,
  LONGEST_DELAY_MS,
  once,
  optionsOf,
  parseOptions,
  shown,
} from "../../src/internal/index.ts";
import type { BalancerOption } from "../balancer/index.ts";
import { createBalancer } from "../balancer/internal.ts";
import {
  callFields,
  checkCallable,
  clientField,
  delayAbove0,
  delayAtLeast0,
  delimitedPrefix,
} from "../option-schemas/index.ts";
import type { RecipeClientOptions } from "../recipe/index.ts";
import type { RegistrationFormat } from "../registration-format/index.ts";
import { checkFormat } from "../registration-format/internal.ts";
import { filterFields } from "./filter-fields.ts";
import type { InstanceFilter } from "./instance-filter.ts";
import type { OutlierDetectionOptions, ResolvedOutlierDetection } from "./outlier-detector.ts";
import type { ServiceInstance } from "./service-instance.ts";
import { checkMetadataSchema, type MetadataSchema } from "./standard-schema.ts";

/** How servers are chosen, from a list or a part of it. All may be left out. */
export interface PickOptions<Metadata = unknown> {
  /** How `pick()` chooses: a name, a function, or a Balancer of its own. @default "round-robin" */
  balancer?: BalancerOption<ServiceInstance<Metadata>> | undefined;
  /**
   * Servers whose `metadata.zone` this is are preferred, as long as one of them can be chosen. A metadata schema that
   * takes the zone away hides it. @default none is preferred
   */
  zone?: string | undefined;
  /**
   * A server that comes after the first list gets its full share only after so many milliseconds, and grows to it. So
   * does one that can be picked again: it drained, was ejected, or was gone and is held by `maxDropRatio`. At least 0.
   *
   * @default 0
   */
  slowStartMs?: number | undefined;
  /**
   * `change` waits until nothing has changed for so many milliseconds, then says what all of it came to. Neither the
   * first list nor the first instance of an empty list waits. At least 0. @default 0: one `change` for each batch
   */
  changeDelayMs?: number | undefined;
  /**
   * `change` waits no longer than this, in milliseconds, however much changes: at least `changeDelayMs`, which must be
   * given with it. @default 10 times `changeDelayMs`
   */
  changeMaxDelayMs?: number | undefined;
}

/** Options of a SubscribeService. All may be left out. */
export interface SubscribeServiceOptions<Metadata = unknown> extends RecipeClientOptions, PickOptions<Metadata> {
  /**
   * What the metadata of an instance must be: any Standard Schema (zod, valibot, arktype), a synchronous one. An
   * instance that it rejects is kept out of the list and reported as `invalid`. @default none: metadata is what JSON
   * said
   */
  metadata?: MetadataSchema<Metadata> | undefined;
  /**
   * The format, or several, in which instances are read: what is in another one is kept out and reported as `invalid`.
   *
   * @default all that are known by name
   */
  format?: RegistrationFormat | readonly RegistrationFormat[] | undefined;
  /** When a server is not chosen for a while because calls to it fail; false: never. @default as its options say */
  outlierDetection?: OutlierDetectionOptions | false | undefined;
  /**
   * When this part of the services is gone at once (within some 10 s), or more, what is still listed stays, and a
   * `warning` with a MassRemovalError says so: above 0, at most 1; 1 means all of them. With it each removal is emitted
   * one second late; such a service is not chosen any more meanwhile.
   *
   * @default nothing is held back
   */
  maxDropRatio?: number | undefined;
  /** How long a mass removal is held back, in milliseconds, if they do not return. @default 60000 */
  dropHoldMs?: number | undefined;
  /**
   * A file for the last good list, for this prefix alone, in a folder that exists. Written when the list has changed,
   * at most once a second, and at the end; at most 64 MiB; for its owner alone to read. Where etcd is away at the
   * start, the list is from there: `stale`, with its age, until etcd says what is true. A file that cannot be used is
   * a `warning`, and ignored.
   *
   * @default none: no file is read or written
   */
  snapshotFile?: string | undefined;
}

const ratio = () => z.number("must be a number").check(z.maximum(1, "must be at most 1"));
const count = () => z.int("must be a whole number").check(z.minimum(1, "must be at least 1"));

const pickFields = () => ({
  balancer: z.optional(z.unknown()),
  zone: z.optional(z.string("must be a string").check(z.minLength(1, "must not be empty"))),
  slowStartMs: z._default(delayAtLeast0(), 0),
  changeDelayMs: z.optional(delayAtLeast0()),
  changeMaxDelayMs: z.optional(delayAbove0()),
});

/** As a field of the options, so that an error names what is in it as the caller wrote it. */
const outlierSchema = once(() =>
  z.object({
    outlierDetection: z.strictObject({
      consecutiveFailures: z._default(count(), 5),
      failureRate: z._default(ratio().check(z.gt(0, "must be above 0")), 0.5),
      minimumCalls: z._default(count(), 20),
      windowMs: z._default(delayAbove0(), 10_000),
      baseEjectionMs: z._default(delayAbove0(), 10_000),
      maxEjectionMs: z._default(delayAbove0(), 300_000),
      maxEjectedRatio: z._default(ratio().check(z.minimum(0, "must be at least 0")), 0.5),
    }),
  }),
);

const schema = once(() =>
  z.strictObject(
    {
      client: clientField(),
      metadata: z.optional(z.unknown()),
      format: z.optional(z.unknown()),
      outlierDetection: z.optional(z.unknown()),
      maxDropRatio: z.optional(ratio().check(z.gt(0, "must be above 0"))),
      dropHoldMs: z.optional(delayAbove0()),
      snapshotFile: z.optional(z.string("must be a string").check(z.minLength(1, "must not be empty"))),
      ...pickFields(),
    },
    "must be an object",
  ),
);

export interface ResolvedPick<Metadata> {
  readonly strategy: BalancerOption<ServiceInstance<Metadata>>;
  readonly zone: string | undefined;
  readonly slowStartMs: number;
  readonly changeDelayMs: number;
  readonly changeMaxDelayMs: number;
}

export interface ResolvedSubscribe<Metadata> extends ResolvedPick<Metadata> {
  readonly prefix: string;
  readonly client: RecipeClientOptions["client"];
  readonly metadata: MetadataSchema<Metadata> | undefined;
  readonly formats: readonly RegistrationFormat[] | undefined;
  readonly outlierDetection: ResolvedOutlierDetection | undefined;
  readonly maxDropRatio: number | undefined;
  readonly dropHoldMs: number;
  readonly snapshotFile: string | undefined;
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveSubscribe<Metadata>(prefix: unknown, options: unknown): ResolvedSubscribe<Metadata> {
  const what = "SubscribeService";
  const { client, metadata, format, outlierDetection, maxDropRatio, dropHoldMs, snapshotFile, ...given } = parseOptions(
    what,
    schema,
    options,
  );
  if (metadata !== undefined) checkMetadataSchema(what, metadata);
  if (dropHoldMs !== undefined && maxDropRatio === undefined) {
    throw new InvalidOptionError(what, "dropHoldMs", "says how long maxDropRatio holds back; give that, too");
  }
  return {
    prefix: delimitedPrefix(what, prefix),
    client,
    metadata: metadata as MetadataSchema<Metadata> | undefined,
    formats: resolveFormats(what, format),
    outlierDetection: resolveOutlierDetection(what, outlierDetection),
    maxDropRatio,
    dropHoldMs: dropHoldMs ?? 60_000,
    snapshotFile,
    ...resolvePick<Metadata>(what, given, "round-robin"),
  };
}

function resolveFormats(what: string, format: unknown): readonly RegistrationFormat[] | undefined {
  if (format === undefined) return undefined;
  const formats: readonly unknown[] = Array.isArray(format) ? [...format] : [format];
  if (formats.length === 0)
    throw new InvalidOptionError(what, "format", "must name a format, or several; leave it out for all");
  for (const each of formats) checkFormat(what, each);
  return formats as readonly RegistrationFormat[];
}

function resolveOutlierDetection(what: string, given: unknown): ResolvedOutlierDetection | undefined {
  if (given === false) return undefined;
  if (given !== undefined && !isPlainObject(given)) {
    const allowed = "an object such as { consecutiveFailures: 5 }, or false";
    throw new InvalidOptionError(what, "outlierDetection", `must be ${allowed}, not ${shown(given)}`);
  }
  const { outlierDetection } = parseOptions(what, outlierSchema, { outlierDetection: given ?? {} });
  const { baseEjectionMs, maxEjectionMs } = outlierDetection;
  if (maxEjectionMs < baseEjectionMs) {
    const problem = `must be at least baseEjectionMs, ${baseEjectionMs}`;
    throw new InvalidOptionError(what, "outlierDetection.maxEjectionMs", problem);
  }
  return outlierDetection;
}

function resolvePick<Metadata>(
  what: string,
  given: z.output<z.ZodMiniObject<ReturnType<typeof pickFields>>>,
  otherwise: BalancerOption<ServiceInstance<Metadata>>,
): ResolvedPick<Metadata> {
  const { balancer = otherwise, zone, slowStartMs, changeDelayMs = 0, changeMaxDelayMs } = given;
  if (changeMaxDelayMs !== undefined && given.changeDelayMs === undefined) {
    throw new InvalidOptionError(what, "changeMaxDelayMs", "says how long changeDelayMs may wait; give that, too");
  }
  if (changeMaxDelayMs !== undefined && changeMaxDelayMs < changeDelayMs) {
    throw new InvalidOptionError(what, "changeMaxDelayMs", `must be at least changeDelayMs, ${changeDelayMs}`);
  }
  const strategy = balancer as BalancerOption<ServiceInstance<Metadata>>;
  // Checked before there is a client; the one that is used lives by the time and the chance of that.
  createBalancer(what, strategy, { zone, slowStartMs });
  return {
    strategy,
    zone,
    slowStartMs,
    changeDelayMs,
    changeMaxDelayMs: changeMaxDelayMs ?? Math.min(10 * changeDelayMs, LONGEST_DELAY_MS),
  };
}

/** What `view()` takes. Nothing but the balancer comes from the list: its `changeDelayMs` is not for its views. */
export interface ViewOptions<Metadata = unknown> extends PickOptions<Metadata> {
  /**
   * How `pick()` chooses. @default that of the list that it is a view of, with a state of its own; "round-robin" where
   * the list has a Balancer of its own, which serves one list
   */
  balancer?: BalancerOption<ServiceInstance<Metadata>> | undefined;
}

const filterSchema = once(() => z.strictObject(filterFields(), "must be an object"));
const viewSchema = once(() => z.strictObject(pickFields(), "must be an object"));

/**
 * @param parent how the list chooses that it is a view of
 * @throws InvalidOptionError that names the option
 */
export function resolveView<Metadata>(
  filter: unknown,
  options: unknown,
  parent: ResolvedPick<Metadata>,
): { filter: InstanceFilter<Metadata>; pick: ResolvedPick<Metadata> } {
  const what = "SubscribeService.view";
  checkPlainObject(what, "filter", filter, "an object such as { draining: false }");
  // A Balancer serves one list.
  const otherwise = typeof parent.strategy === "object" ? "round-robin" : parent.strategy;
  return {
    filter: parseOptions(what, filterSchema, filter) as InstanceFilter<Metadata>,
    pick: resolvePick(what, parseOptions(what, viewSchema, options), otherwise),
  };
}

export interface UntilOptions {
  /** Rejects with an EtcdTimeoutError after this many milliseconds. @default it waits for ever */
  timeoutMs?: number | undefined;
  /** Rejects with `signal.reason` when aborted. */
  signal?: AbortSignal | undefined;
}

const untilSchema = once(() => z.strictObject(callFields(), "must be an object"));

/** @throws InvalidOptionError */
export function resolveUntil(predicate: unknown, options: unknown): UntilOptions {
  const what = "SubscribeService.until";
  checkCallable(what, predicate, "predicate");
  return parseOptions(what, untilSchema, options);
}

export interface ServiceCallOptions<Result = unknown> {
  /**
   * How many servers are tried at most, each attempt another one as long as there is one; at least 1. More than one is
   * for calls that may be made twice: a server that failed may have done the work. @default 1
   */
  attempts?: number | undefined;
  /** Calls with the same key belong together, see `pick()`. */
  key?: string | undefined;
  /** Ends the call, whatever it is at; it rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
  /**
   * How long all of it may take, the wait for a first server included, in milliseconds: above 0, below 2^31, or
   * `Infinity`. An attempt may take its part of what is left: with three attempts to go a third of it. @default 30000
   */
  timeoutMs?: number | undefined;
  /**
   * Whether what `fn` returned is a failure of its server: it counts against the server, and another one is tried while
   * there are attempts left. The call resolves with the result of its last attempt, a failure or not. Of a result that
   * is not returned and has a `body`, as a Response has, the body is cancelled. `isFailedResponse` is a ready one for
   * `fetch()`. What it throws is a failure, too. @default only what `fn` throws is a failure
   */
  isFailure?: ((result: Result) => boolean) | undefined;
}

const callSchema = once(() => {
  const { signal, timeoutMs } = callFields();
  return z.strictObject(
    {
      attempts: z._default(count(), 1),
      key: z.optional(z.string("must be a string")),
      signal,
      timeoutMs: z._default(timeoutMs, 30_000),
      isFailure: z.optional(
        z.custom<(result: unknown) => boolean>((it) => typeof it === "function", "must be a function"),
      ),
    },
    "must be an object",
  );
});

export interface ResolvedServiceCall {
  readonly isFailure?: ((result: unknown) => boolean) | undefined;
  readonly attempts: number;
  readonly key?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs: number;
}

/** @throws InvalidOptionError */
export function resolveServiceCall(call: unknown, options: unknown): ResolvedServiceCall {
  const what = "SubscribeService.call";
  checkCallable(what, call, "fn");
  return parseOptions(what, callSchema, options);
}

export interface ReportOptions {
  /** How long the call took, in milliseconds; at least 0. @default it is not known */
  latencyMs?: number | undefined;
}

const reportSchema = once(() => z.strictObject({ latencyMs: z.optional(delayAtLeast0()) }, "must be an object"));

/** @throws InvalidOptionError */
export function resolveReport(instance: unknown, options: unknown): ReportOptions {
  const what = "SubscribeService.report";
  if (typeof (instance as { key?: unknown } | null | undefined)?.key !== "string") {
    throw new InvalidOptionError(what, "instance", `must be one of the list, not ${shown(instance)}`);
  }
  return parseOptions(what, reportSchema, options);
}

/** On the path of every request: no schema. */
export const checkPick = optionsOf("SubscribeService.pick", {
  key: { allowed: "a string", holds: (key) => typeof key === "string" },
});
