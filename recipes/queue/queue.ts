import { ClientClosedError } from "../../src/index.ts";
import { runtimeOf, showAs } from "../../src/internal/index.ts";
import { checkFoundId } from "../option-schemas/index.ts";
import { type CommonEvents, Notifier, type RecipeClient, recipeClient } from "../recipe/index.ts";
import { Consumer } from "./consumer.ts";
import { type DeadLetter, DeadLetters } from "./dead-letters.ts";
import type { Job } from "./job.ts";
import {
  type DequeueOptions,
  type EnqueueManyOptions,
  type EnqueueOptions,
  type QueueCallOptions,
  type QueueOptions,
  type ResolvedQueue,
  resolveCall,
  resolveDequeue,
  resolveEnqueue,
  resolveEnqueueMany,
  resolveQueue,
} from "./options.ts";
import { type Enqueued, Producer } from "./producer.ts";
import { QueueKeys } from "./queue-keys.ts";
import type { QueueNews } from "./worker-port.ts";

/** How long etcd may take when this ends. */
const CLOSE_LIMIT_MS = 5_000;

export interface QueueEvents extends CommonEvents {
  /** This worker made a dead letter of a job whose attempts were used up. */
  dead: [letter: DeadLetter];
}

/**
 * Jobs that any number of processes put in, and any number of workers take out.
 *
 * ```ts
 * const queue = new Queue("/jobs/build");
 * await queue.enqueue("build proj-1");
 * for (;;) {
 *   const job = await queue.dequeue({ signal });
 *   await build(job.value, job.signal);
 *   await job.ack();
 * }
 * ```
 *
 * Guaranteed: a job that was added stays until it is acknowledged, or becomes a dead letter after `maxAttempts`: one
 * whose worker dies, or is cut off, comes back when the worker's lease ends. No two workers hold one job at the same
 * time, as long as they look at `job.signal`. A worker that is alone gets the jobs in the order in which they were
 * added: etcd's order, and within one `enqueueMany()` the order of its values; a job that comes back stands where it
 * stood. Who waits for a job asks etcd for nothing; when one comes, one of those who wait claims it, not all of them.
 * The queues of one name on one client share one list and one watch of it.
 *
 * A worker that asks for the next job right after `ack()` has it claimed in the transaction of the ack: a loop of
 * `dequeue()` and `ack()` makes one transaction for each job. If it does not ask within 20 ms, the job goes back with
 * no attempt counted, and until then no other worker has it; one whose process dies in these 20 ms comes back with the
 * worker's lease, and with an attempt more.
 *
 * Not guaranteed: that a job runs once; it runs at least once. Nor that several workers finish in order: each takes one
 * of the first 4 n jobs, with n workers, and jobs that come back are late. Delays hold by the clocks of the producers
 * and workers. A wiped etcd has no jobs any more: those in hand are reported lost, and the workers go on with what is
 * added then.
 *
 * Everything else under `name/` belongs to the queue: names of queues must not stand within one another.
 *
 * A closed client ends the worker's side, and so does a permission that is missing before its first list: by `failed`,
 * and by rejecting each `dequeue()`. Everything else emits `warning` and is retried as long as it makes sense; a role,
 * a user or a password that is missing later, after pauses that grow to 30 s.
 */
export class Queue extends Notifier<QueueEvents> implements AsyncDisposable {
  static {
    showAs(Queue, "Queue", (it) => ({ name: it.name }));
  }

  readonly name: string;
  readonly #options: ResolvedQueue;
  readonly #client: RecipeClient;
  readonly #keys: QueueKeys;
  readonly #producer: Producer;
  readonly #letters: DeadLetters;
  /** From the first `dequeue()` on. */
  #consumer: Consumer | undefined;
  #closed: Promise<void> | undefined;

  /**
   * Does nothing yet: the first `dequeue()` takes a lease, which keeps the process alive until `close()`.
   *
   * @param name at most 65536 bytes, without a slash at its end
   * @throws InvalidOptionError that names the argument or option
   */
  constructor(name: string, options: QueueOptions = {}) {
    const resolved = resolveQueue(name, options);
    const client = recipeClient(resolved.client);
    const { etcd } = client;
    const runtime = runtimeOf(etcd);
    super(runtime.clock);
    this.#options = resolved;
    this.name = name;
    this.#client = client;
    this.#keys = new QueueKeys(name);
    this.#producer = new Producer(etcd, this.#keys, runtime);
    this.#letters = new DeadLetters(etcd, this.#keys, runtime);
  }

  /**
   * Adds a job. While etcd is out of reach it is tried again, under the same id, so that it is there once; only a job
   * that was done and acknowledged between two attempts can be there again.
   *
   * @returns the job's id, and whether it was added: not if a job or a dead letter with this id was there
   * @throws InvalidOptionError; EtcdTimeoutError, then it may be there if `outcomeUnknown`; RequestRefusedError for a
   *   value larger than etcd takes (about 1.5 MiB, with the room that claiming and giving back need); `signal.reason`
   */
  async enqueue(value: string, options: EnqueueOptions = {}): Promise<Enqueued> {
    const resolved = resolveEnqueue(value, options);
    this.#begin(resolved.signal);
    return this.#producer.add(value, resolved);
  }

  /**
   * Adds jobs in the order of `values`, with one transaction for every 125 of them, or for every megabyte. Each
   * transaction is there whole or not at all; when this fails, the jobs before a certain one are there, and those
   * behind it are not.
   *
   * @returns their ids
   * @throws as `enqueue()`
   */
  async enqueueMany(values: readonly string[], options: EnqueueManyOptions = {}): Promise<readonly string[]> {
    const resolved = resolveEnqueueMany(values, options);
    this.#begin(resolved.signal);
    return this.#producer.addAll(values, resolved);
  }

  /**
   * Waits for a job and claims it. Several calls may wait at once: each gets a job of its own.
   *
   * @throws InvalidOptionError; ClientClosedError after `close()`; the failure after `failed`; `signal.reason`
   */
  async dequeue(options?: DequeueOptions): Promise<Job> {
    const { signal, visibilitySeconds = this.#options.visibilitySeconds } = resolveDequeue(options);
    this.#begin(signal);
    this.#consumer ??= this.#newConsumer();
    return this.#consumer.dequeue(visibilitySeconds && visibilitySeconds * 1_000, signal);
  }

  /**
   * How many jobs are not acknowledged yet: ready, delayed and in hand. Dead letters do not count, jobs that cannot be
   * read do.
   *
   * @throws InvalidOptionError; EtcdError; `signal.reason`
   */
  async size(options: QueueCallOptions = {}): Promise<number> {
    const call = resolveCall("Queue.size", options);
    this.#begin(call.signal);
    return (await this.#client.etcd.range(this.#keys.jobs, { ...call, countOnly: true })).count;
  }

  /**
   * The jobs whose attempts were used up, the oldest first. One that cannot be read is left out, and reported by
   * `warning`.
   *
   * @throws InvalidOptionError; EtcdError; `signal.reason`
   */
  async deadLetters(options: QueueCallOptions = {}): Promise<readonly DeadLetter[]> {
    const call = resolveCall("Queue.deadLetters", options);
    this.#begin(call.signal);
    return this.#letters.list(call, (error) => this.notify("warning", error));
  }

  /**
   * Makes a job of a dead letter again: at the end of the queue, under the same id, with all its attempts.
   *
   * @returns false when there is no such dead letter
   * @throws InvalidOptionError; InvalidValueError when it cannot be read; EtcdTimeoutError with `outcomeUnknown`, also
   *   when an answer was lost and neither the letter nor the job is there any more; EtcdError; `signal.reason`
   */
  async putBack(id: string, options: QueueCallOptions = {}): Promise<boolean> {
    checkFoundId("Queue.putBack", id);
    const call = resolveCall("Queue.putBack", options);
    this.#begin(call.signal);
    return this.#letters.putBack(id, call);
  }

  /**
   * Deletes a dead letter, also one that cannot be read or that a stranger wrote under an id that `enqueue` refuses.
   *
   * Not guaranteed: that true means more than that neither the letter nor its job is there. An answer that was lost can
   * hide that another process put the letter back, and that the job is done.
   *
   * @returns false when there is no such dead letter
   * @throws InvalidOptionError; EtcdError; `signal.reason`
   */
  async discard(id: string, options: QueueCallOptions = {}): Promise<boolean> {
    checkFoundId("Queue.discard", id);
    const call = resolveCall("Queue.discard", options);
    this.#begin(call.signal);
    return this.#letters.discard(id, call);
  }

  /**
   * Ends the worker's side: waiting calls reject with a `ClientClosedError`, acknowledgements under way are waited for,
   * jobs in hand are lost to this process and go back at once; what was being claimed for a waiting call goes back as
   * if it had not been. When etcd is out of reach this takes 5 s or the TTL at most, whichever is shorter, and they go
   * back when the lease ends. What goes wrong is a `warning`. Calling it again is harmless.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    await this.#consumer?.close(Math.min(CLOSE_LIMIT_MS, this.#options.ttlSeconds * 1_000));
    await this.#client.release();
  }

  #newConsumer(): Consumer {
    const { etcd } = this.#client;
    const { ttlSeconds, maxAttempts } = this.#options;
    const onNews = (news: QueueNews) => {
      if (news.type === "dead") this.notify("dead", news.letter);
      else this.notify(news.type, news.error);
    };
    return new Consumer({ etcd, keys: this.#keys, ttlSeconds, maxAttempts, runtime: runtimeOf(etcd), onNews });
  }

  #begin(signal: AbortSignal | undefined): void {
    signal?.throwIfAborted();
    if (this.#closed) throw new ClientClosedError(`the queue ${this.name} was closed`);
  }
}
