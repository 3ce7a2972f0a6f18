import {
  type EtcdClient,
  getOp,
  keyMissing,
  type LeaseId,
  type Op,
  type OpResult,
  putOp,
  type TxnOp,
  txnOp,
} from "../../src/index.ts";
import {
  channels,
  type EnqueueMessage,
  nestedSize,
  type PartSize,
  type Runtime,
  ServerLimits,
  sendInParts,
  type Trace,
  TxnRoom,
  uniqueNumber,
} from "../../src/internal/index.ts";
import { requestRoom, type TxnUntilKnownOptions, txnUntilKnown } from "../writes/index.ts";
import { type JobContent, readJob, writeJob } from "./job-content.ts";
import type { ResolvedCall, ResolvedEnqueue } from "./options.ts";
import type { QueueKeys } from "./queue-keys.ts";

/** So that ids are in the order in which they were made. */
const DIGITS = 12;

/** What came of an enqueue. */
export interface Enqueued {
  readonly id: string;
  /** False when a job, or a dead letter, with this id was there: then nothing was changed. */
  readonly added: boolean;
}

/** What a key takes in a request besides its bytes, and what the content of a job can become longer by. */
const BYTES_AROUND = 100;

/** Every job of an `enqueueMany()` has it. */
const MOST_SENT_ALONG_BYTES = 1_024;

type EnqueueAll = ResolvedCall & { readonly delayMs: number };

interface NewJob {
  readonly id: string;
  /** Distinguishes it from another caller's job with the same id. */
  readonly token: string | undefined;
  readonly op: TxnOp;
  /** How long its content is. */
  readonly bytes: number;
}

/**
 * Puts jobs into a queue. Many go in parts one after the other, and not by `EtcdClient.txn({ batch: true })`, which has
 * several under way at once: jobs are taken in the order in which they came.
 */
export class Producer {
  readonly #etcd: EtcdClient;
  readonly #keys: QueueKeys;
  readonly #limits: ServerLimits;
  readonly #runtime: Runtime;
  readonly #name: string;
  #made = 0;

  constructor(etcd: EtcdClient, keys: QueueKeys, runtime: Runtime) {
    this.#etcd = etcd;
    this.#keys = keys;
    this.#limits = ServerLimits.of(etcd);
    this.#runtime = runtime;
    this.#name = uniqueNumber(runtime).toString(16).padStart(16, "0");
  }

  async add(value: string, { id, delayMs, ...call }: ResolvedEnqueue): Promise<Enqueued> {
    const trace = this.#describe(1);
    const adding = this.#add(value, { id, delayMs, ...call }, sentAlong(trace));
    return trace ? trace.follow(adding) : adding;
  }

  async addAll(values: readonly string[], options: EnqueueAll): Promise<readonly string[]> {
    const trace = this.#describe(values.length);
    const adding = this.#addAll(values, options, sentAlong(trace));
    return trace ? trace.follow(adding) : adding;
  }

  async #add(value: string, { id, delayMs, ...call }: ResolvedEnqueue, trace: JobContent["trace"]): Promise<Enqueued> {
    const made = this.#newId();
    const token = id === undefined ? undefined : made;
    const text = writeJob({ ...this.#content(value, delayMs), token, trace });
    const added = await this.#put([this.#newJob({ id: id ?? made, token, text })], this.#options(call));
    // What stands under an id that was made for this call was put there by this call.
    return { id: id ?? made, added: id === undefined || added === 1 };
  }

  async #addAll(
    values: readonly string[],
    { delayMs, ...call }: EnqueueAll,
    trace: JobContent["trace"],
  ): Promise<readonly string[]> {
    const jobs = values.map((value) => {
      const text = writeJob({ ...this.#content(value, delayMs), trace });
      return this.#newJob({ id: this.#newId(), token: undefined, text });
    });
    const options = this.#options(call);
    for (let next = 0; next < jobs.length; ) {
      const room = new TxnRoom(this.#limits);
      const first = next;
      while (next < jobs.length && room.take(sizeOf(jobs[next] as NewJob))) next++;
      await this.#put(jobs.slice(first, next), options);
    }
    return jobs.map(({ id }) => id);
  }

  /**
   * One after the other: when one is refused, those before it are there, and those behind it are not. @returns how many
   * were added
   */
  async #put(jobs: readonly NewJob[], options: TxnUntilKnownOptions): Promise<number> {
    let added = 0;
    await sendInParts(jobs, {
      limits: this.#limits,
      sizeOf,
      send: async (part) => {
        const [largest] = [...part].sort((a, b) => b.bytes - a.bytes);
        const request = { success: part.map(({ op }) => op), failure: largest && this.#roomFor(largest) };
        const { responses, unsure } = await txnUntilKnown(request, options);
        for (const [index, response] of responses.entries()) {
          if (response.type !== "txn") continue;
          if (response.succeeded || (unsure && hasToken(response.responses, part[index]?.token))) added++;
        }
      },
      failed: (_, error) => {
        throw error;
      },
      inOrder: true,
    });
    return added;
  }

  #describe(jobs: number): Trace<EnqueueMessage> | undefined {
    const { enqueues } = channels;
    return enqueues.heard ? enqueues.begin({ queue: this.#keys.name, jobs, traceContext: {} }) : undefined;
  }

  #newJob({ id, token, text }: Omit<NewJob, "op" | "bytes"> & { readonly text: string }): NewJob {
    const op = txnOp({
      compare: [keyMissing(this.#keys.job(id)), keyMissing(this.#keys.letter(id))],
      success: [putOp(this.#keys.job(id), text)],
      failure: token === undefined ? [] : [getOp(this.#keys.job(id))],
    });
    return { id, token, op, bytes: Buffer.byteLength(text) };
  }

  /**
   * The largest later step is the claim: it names the job's key and the worker's twice, and the worker's place. What
   * the content can become longer by, an attempt, a holder, a delay, the time of death, is less than the numbers here.
   */
  #roomFor({ id, bytes }: NewJob): readonly Op[] {
    const key = this.#keys.job(id);
    const keyBytes = Math.max(Buffer.byteLength(key), Buffer.byteLength(this.#keys.waiting("f".repeat(16) as LeaseId)));
    return requestRoom(key, bytes, 4 * (keyBytes + BYTES_AROUND));
  }

  #newId(): string {
    return `${this.#name}-${String(++this.#made).padStart(DIGITS, "0")}`;
  }

  #content(value: string, delayMs: number): JobContent {
    return { value, attempt: 0, notBefore: delayMs > 0 ? this.#runtime.clock.wallMs() + delayMs : undefined };
  }

  #options({ signal, timeoutMs }: ResolvedCall): TxnUntilKnownOptions {
    const { clock } = this.#runtime;
    const endMs = clock.monotonicMs() + timeoutMs;
    const leftMs = () => endMs - clock.monotonicMs();
    return { etcd: this.#etcd, runtime: this.#runtime, signal, leftMs, endsWhenFull: true };
  }
}

/** What a subscriber wants to send along; too much of it is not sent. */
function sentAlong(trace: Trace<EnqueueMessage> | undefined): JobContent["trace"] {
  if (!trace) return undefined;
  const { traceContext } = trace.message;
  const texts = Object.entries(traceContext).filter(([, value]) => typeof value === "string");
  const bytes = Buffer.byteLength(JSON.stringify(texts));
  return texts.length > 0 && bytes <= MOST_SENT_ALONG_BYTES ? Object.fromEntries(texts) : undefined;
}

function sizeOf({ op }: NewJob): PartSize {
  return nestedSize(op);
}

/** Whether the job that is there was put by this very call, in an attempt whose answer was lost. */
function hasToken([job]: readonly OpResult[], token: string | undefined): boolean {
  if (job?.type !== "range" || !job.kvs[0] || token === undefined) return false;
  try {
    return readJob(job.kvs[0]).token === token;
  } catch {
    return false;
  }
}
