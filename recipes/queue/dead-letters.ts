import { type EtcdClient, keyMissing, putOp, type TxnOptions } from "../../src/index.ts";
import type { Runtime } from "../../src/internal/index.ts";
import { asError } from "../../src/internal/index.ts";
import { changeKey, deleteIfUnchanged, txnUntilKnown } from "../writes/index.ts";
import { type LetterContent, readLetter, writeJob } from "./job-content.ts";
import type { ResolvedCall } from "./options.ts";
import type { QueueKeys } from "./queue-keys.ts";

/** A job that was tried too often. It stays until it is put back or discarded. */
export interface DeadLetter {
  readonly id: string;
  readonly value: string;
  readonly attempts: number;
  /** In milliseconds since the epoch, by the clock of the worker that gave it up. */
  readonly diedAtMs: number;
}

export function toLetter(id: string, { value, attempts, diedAtMs }: LetterContent): DeadLetter {
  return { id, value, attempts, diedAtMs };
}

/** What operators do with a queue's dead letters. */
export class DeadLetters {
  readonly #etcd: EtcdClient;
  readonly #keys: QueueKeys;
  readonly #runtime: Runtime;

  constructor(etcd: EtcdClient, keys: QueueKeys, runtime: Runtime) {
    this.#etcd = etcd;
    this.#keys = keys;
    this.#runtime = runtime;
  }

  /** All of them, the oldest first; what cannot be read is left out, with a warning. */
  async list(call: ResolvedCall, onWarning: (error: Error) => void): Promise<readonly DeadLetter[]> {
    const { kvs } = await this.#etcd.range(this.#keys.letters, call);
    const letters: DeadLetter[] = [];
    for (const kv of [...kvs].sort((a, b) => a.createRevision - b.createRevision)) {
      const id = this.#keys.read(kv.key)?.id;
      try {
        if (id !== undefined) letters.push(toLetter(id, readLetter(kv)));
      } catch (error) {
        onWarning(asError(error));
      }
    }
    return letters;
  }

  /** Makes a new job of it, with no attempts behind it, at the end of the queue. @returns false when there is none */
  async putBack(id: string, call: ResolvedCall): Promise<boolean> {
    return this.#remove(id, call, ({ value }) => writeJob({ value, attempt: 0 }));
  }

  /** @returns false when there is none */
  async discard(id: string, call: ResolvedCall): Promise<boolean> {
    return this.#remove(id, call);
  }

  /** @param put makes the job that takes its place, unless there is one with this id */
  async #remove(
    id: string,
    { signal, timeoutMs }: ResolvedCall,
    put?: (letter: LetterContent) => string,
  ): Promise<boolean> {
    const runtime = this.#runtime;
    const endMs = runtime.clock.monotonicMs() + timeoutMs;
    const leftMs = () => endMs - runtime.clock.monotonicMs();
    const inTime = {
      signal,
      get timeoutMs() {
        return Math.max(1, leftMs());
      },
    };
    const txn = async (request: TxnOptions) => {
      const answer = await txnUntilKnown(request, { etcd: this.#etcd, runtime, signal, leftMs });
      // An attempt without an answer did it.
      return { ...answer, succeeded: answer.succeeded || answer.unsure };
    };
    const letterKey = this.#keys.letter(id);
    const jobKey = this.#keys.job(id);
    return changeKey(this.#etcd, letterKey, inTime, async (kv) => {
      if (!kv) return false;
      const job = put && { compare: [keyMissing(jobKey)], success: [putOp(jobKey, put(readLetter(kv)))] };
      if ((await deleteIfUnchanged({ txn }, letterKey, kv, { instead: job })) !== undefined) return true;
      return job && (await this.#etcd.get(jobKey, { signal })) ? false : undefined;
    });
  }
}
