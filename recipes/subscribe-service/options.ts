import { z } from "zod";
import { InvalidOptionError } from "../../src/index.ts";
import { parseOptions } from "../../src/internal/index.ts";
import { type Balancer, type BalancerOption, createBalancer } from "../balancer/index.ts";
import { delimitedPrefix, type RecipeClientOptions } from "../common/index.ts";
import { clientField } from "../option-fields/index.ts";
import type { ServiceInstance } from "./service-instance.ts";
import { checkMetadataSchema, type MetadataSchema } from "./standard-schema.ts";

/** Options of a SubscribeService. All may be left out. */
export interface SubscribeServiceOptions<Metadata = unknown> extends RecipeClientOptions {
  /** How `pick()` chooses: a name, a function, or a Balancer of its own. @default "round-robin" */
  balancer?: BalancerOption<ServiceInstance<Metadata>> | undefined;
  /**
   * What the metadata of an instance must be: any Standard Schema (zod, valibot, arktype), a synchronous one. An instance
   * that it rejects is kept out of the list and reported as `invalid`. @default none: metadata is what JSON said
   */
  metadata?: MetadataSchema<Metadata> | undefined;
}

const schema = z.strictObject(
  {
    client: clientField,
    balancer: z.unknown().optional(),
    metadata: z.unknown().optional(),
  },
  "must be an object",
);

export interface ResolvedSubscribe<Metadata> {
  readonly prefix: string;
  readonly client: RecipeClientOptions["client"];
  readonly balancer: Balancer<ServiceInstance<Metadata>>;
  readonly metadata: MetadataSchema<Metadata> | undefined;
}

/** @throws InvalidOptionError that names the argument or option */
export function resolveSubscribe<Metadata>(prefix: unknown, options: unknown): ResolvedSubscribe<Metadata> {
  const what = "SubscribeService";
  const { client, balancer, metadata } = parseOptions(what, schema, options ?? {});
  if (metadata !== undefined) checkMetadataSchema(what, metadata);
  return {
    prefix: delimitedPrefix(what, prefix),
    client,
    balancer: createBalancer(what, (balancer ?? "round-robin") as BalancerOption<ServiceInstance<Metadata>>),
    metadata: metadata as MetadataSchema<Metadata> | undefined,
  };
}

export interface UntilOptions {
  /** Rejects with an EtcdTimeoutError after this many milliseconds. @default it waits for ever */
  timeoutMs?: number | undefined;
  /** Rejects with `signal.reason` when aborted. */
  signal?: AbortSignal | undefined;
}

const untilSchema = z.strictObject(
  {
    timeoutMs: z.number("must be a number of milliseconds").positive("must be above 0").optional(),
    signal: z.instanceof(AbortSignal, { error: "must be an AbortSignal" }).optional(),
  },
  "must be an object",
);

/** @throws InvalidOptionError */
export function resolveUntil(predicate: unknown, options: unknown): UntilOptions {
  const what = "SubscribeService.until";
  if (typeof predicate !== "function") throw new InvalidOptionError(what, "predicate", "must be a function");
  return parseOptions(what, untilSchema, options);
}
