import { randomBytes } from "node:crypto";
import { type EtcdClient, getOp, keyMissing, type OpResult, putOp, type TxnOp, txnOp } from "../../src/index.ts";
import type { Runtime } from "../../src/internal/index.ts";
import { type JobContent, readJob, writeJob } from "./job-content.ts";
import type { ResolvedCall, ResolvedEnqueue } from "./options.ts";
import { type PersistentTxnOptions, persistentTxn } from "./persistent-txn.ts";
import type { QueueKeys } from "./queue-keys.ts";

/** etcd takes 128 operations: so many nested txns, with two compares in each. */
const MOST_IN_A_TXN = 125;
/** etcd takes 1.5 MiB in one request. */
const MOST_BYTES = 1_000_000;
/** Around each job: keys, compares, lengths. */
const BYTES_AROUND = 100;
/** So that ids are in the order in which they were made. */
const DIGITS = 12;

/** What came of an enqueue. */
export interface Enqueued {
  readonly id: string;
  /** False when a job, or a dead letter, with this id was there: then nothing was changed. */
  readonly added: boolean;
}

interface NewJob {
  readonly id: string;
  /** Told apart from somebody else's job with the same id. */
  readonly token: string | undefined;
  readonly text: string;
}

/** Puts jobs into a queue. */
export class Producer {
  readonly #etcd: EtcdClient;
  readonly #keys: QueueKeys;
  readonly #runtime: Runtime;
  readonly #name = randomBytes(8).toString("hex");
  #made = 0;

  constructor(etcd: EtcdClient, keys: QueueKeys, runtime: Runtime) {
    this.#etcd = etcd;
    this.#keys = keys;
    this.#runtime = runtime;
  }

  async add(value: string, { id, delayMs, ...call }: ResolvedEnqueue): Promise<Enqueued> {
    const made = this.#newId();
    const token = id === undefined ? undefined : made;
    const text = writeJob({ ...this.#content(value, delayMs), token });
    const [added] = await this.#put([{ id: id ?? made, token, text }], this.#options(call));
    // What stands under an id that was made for this call was put there by this call.
    return { id: id ?? made, added: id === undefined || added === true };
  }

  async addAll(
    values: readonly string[],
    { delayMs, ...call }: ResolvedCall & { readonly delayMs: number },
  ): Promise<readonly string[]> {
    const jobs = values.map(
      (value): NewJob => ({ id: this.#newId(), token: undefined, text: writeJob(this.#content(value, delayMs)) }),
    );
    const options = this.#options(call);
    for (const batch of batchesOf(jobs, this.#keys.job("").length)) await this.#put(batch, options);
    return jobs.map(({ id }) => id);
  }

  /** @returns for each job whether it was added */
  async #put(jobs: readonly NewJob[], options: PersistentTxnOptions): Promise<boolean[]> {
    const { responses, unsure } = await persistentTxn({ success: jobs.map((job) => this.#addOp(job)) }, options);
    return responses.map((response, index) => {
      if (response.type !== "txn") return false;
      return response.succeeded || (unsure && hasToken(response.responses, jobs[index]?.token));
    });
  }

  #addOp({ id, token, text }: NewJob): TxnOp {
    return txnOp({
      compare: [keyMissing(this.#keys.job(id)), keyMissing(this.#keys.letter(id))],
      success: [putOp(this.#keys.job(id), text)],
      failure: token === undefined ? [] : [getOp(this.#keys.job(id))],
    });
  }

  #newId(): string {
    return `${this.#name}-${String(++this.#made).padStart(DIGITS, "0")}`;
  }

  #content(value: string, delayMs: number): JobContent {
    return { value, attempt: 0, notBefore: delayMs > 0 ? this.#runtime.clock.wallMs() + delayMs : undefined };
  }

  #options({ signal, timeoutMs }: ResolvedCall): PersistentTxnOptions {
    const { clock } = this.#runtime;
    const endMs = clock.monotonicMs() + timeoutMs;
    return { etcd: this.#etcd, runtime: this.#runtime, signal, leftMs: () => endMs - clock.monotonicMs() };
  }
}

function* batchesOf(jobs: readonly NewJob[], keyLength: number): Generator<readonly NewJob[]> {
  let batch: NewJob[] = [];
  let bytes = 0;
  for (const job of jobs) {
    const size = Buffer.byteLength(job.text) + 3 * (keyLength + job.id.length) + BYTES_AROUND;
    if (batch.length > 0 && (batch.length === MOST_IN_A_TXN || bytes + size > MOST_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(job);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
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
