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
  nestedSize,
  type PartSize,
  type Runtime,
  ServerLimits,
  sendInParts,
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

interface NewJob {
  readonly id: string;
  /** Told apart from somebody else's job with the same id. */
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
    const made = this.#newId();
    const token = id === undefined ? undefined : made;
    const text = writeJob({ ...this.#content(value, delayMs), token });
    const added = await this.#put([this.#newJob({ id: id ?? made, token, text })], this.#options(call));
    // What stands under an id that was made for this call was put there by this call.
    return { id: id ?? made, added: id === undefined || added === 1 };
  }

  async addAll(
    values: readonly string[],
    { delayMs, ...call }: ResolvedCall & { readonly delayMs: number },
  ): Promise<readonly string[]> {
    const jobs = values.map((value) =>
      this.#newJob({ id: this.#newId(), token: undefined, text: writeJob(this.#content(value, delayMs)) }),
    );
    const options = this.#options(call);
    for (let next = 0; next < jobs.length; ) {
      const room = new TxnRoom(this.#limits);
      const first = next;
      while (next < jobs.length && room.take(sizeOf(jobs[next] as NewJob))) next++;
      await this.#put(jobs.slice(first, next), options);
    }
    return jobs.map(({ id }) => id);
  }

  /** One after the other: when one is refused, those before it are there, and those behind it are not. @returns how many were added */
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

  #newJob({ id, token, text }: Omit<NewJob, "op" | "bytes"> & { readonly text: string }): NewJob {
    const op = txnOp({
      compare: [keyMissing(this.#keys.job(id)), keyMissing(this.#keys.letter(id))],
      success: [putOp(this.#keys.job(id), text)],
      failure: token === undefined ? [] : [getOp(this.#keys.job(id))],
    });
    return { id, token, op, bytes: Buffer.byteLength(text) };
  }

  /**
   * The largest later step is the claim: it names three keys of the job, twice some of them, and a worker's place. What
   * the content can become longer by, an attempt, a delay, the time of death, is less than the numbers here.
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
    return { etcd: this.#etcd, runtime: this.#runtime, signal, leftMs: () => endMs - clock.monotonicMs() };
  }
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
