import * as z from "zod/mini";
import type { KeyValue, LeaseId } from "../../src/index.ts";
import { once } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";
import { inEnglish } from "../option-schemas/index.ts";

/** What stands under a job's key, as JSON. */
export interface JobContent {
  readonly value: string;
  /** How often it was handed to a worker. */
  readonly attempt: number;
  /** The lease of the worker that has it, or had it when it died. */
  readonly holder?: LeaseId | undefined;
  /** Not before this time, in milliseconds since the epoch, by the clock of its writer. */
  readonly notBefore?: number | undefined;
  /** Of a job with an id of the caller's choosing: distinguishes the call that put it there from any other. */
  readonly token?: string | undefined;
  /** What a subscriber of the channel `etcd-recipes:enqueue` sends along. */
  readonly trace?: Readonly<Record<string, string>> | undefined;
}

/** What stands under a dead letter's key, as JSON. */
export interface LetterContent {
  readonly value: string;
  readonly attempts: number;
  readonly diedAtMs: number;
}

/** How `writeJob()` begins the text of a job in hand: each process that follows the queue looks for it. */
const writtenHolder = /^\{"holder":"([0-9a-f]+)",/;

const count = () => z.int().check(z.minimum(0));

const jobSchema = once(
  (): z.ZodMiniType<JobContent> =>
    z.object({
      value: z.string(),
      attempt: count(),
      // What is no lease is no worker's.
      holder: z.catch(z.optional(z.string()), undefined) as z.ZodMiniType<LeaseId | undefined>,
      notBefore: z.optional(z.number()),
      token: z.optional(z.string()),
      // Of no use to the work: what cannot be read here makes no job unreadable.
      trace: z.catch(z.optional(z.record(z.string(), z.string())), undefined),
    }),
);

const letterSchema = once(
  (): z.ZodMiniType<LetterContent> =>
    z.object({
      value: z.string(),
      attempts: count(),
      diedAtMs: z.number(),
    }),
);

/** @throws InvalidValueError for what is no job */
export function readJob(kv: KeyValue): JobContent {
  return read(kv, jobSchema, "a job");
}

/** The holder alone: of every claim of other workers nothing else is asked. What cannot be read has none. */
export function holderOf(kv: KeyValue): LeaseId | undefined {
  const written = writtenHolder.exec(kv.text)?.[1];
  if (written !== undefined) return written as LeaseId;
  if (!kv.text.includes('"holder"')) return undefined;
  try {
    return readJob(kv).holder;
  } catch {
    // Reported when a worker comes to it.
    return undefined;
  }
}

/** @throws InvalidValueError for what is no dead letter */
export function readLetter(kv: KeyValue): LetterContent {
  return read(kv, letterSchema, "a dead letter");
}

export function writeJob(content: JobContent): string {
  return JSON.stringify({ holder: content.holder, ...content });
}

export function writeLetter(content: LetterContent): string {
  return JSON.stringify(content);
}

function read<Content>(kv: KeyValue, schema: () => z.ZodMiniType<Content>, what: string): Content {
  let json: unknown;
  try {
    json = JSON.parse(kv.text);
  } catch {
    // What JSON.parse says has a part of the value in it.
    throw new InvalidValueError(`${kv.key} is not ${what}: it is no JSON`);
  }
  const parsed = schema().safeParse(json, inEnglish());
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new InvalidValueError(`${kv.key} is not ${what}: ${issue?.path.join(".")} ${issue?.message}`);
}
