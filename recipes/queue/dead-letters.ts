import {
  deleteOp,
  type EtcdClient,
  EtcdTimeoutError,
  getOp,
  type KeyValue,
  keyMissing,
  putOp,
} from "../../src/index.ts";
import type { Runtime } from "../../src/internal/index.ts";
import { asError } from "../../src/internal/index.ts";
import { changeKey, foundBy, isAsKnown, txnUntilKnown } from "../writes/index.ts";
import { type LetterContent, readJob, readLetter, writeJob } from "./job-content.ts";
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
    return this.#remove(id, call, true);
  }

  /** @returns false when there is none */
  async discard(id: string, call: ResolvedCall): Promise<boolean> {
    return this.#remove(id, call);
  }

  /** @param again a job takes its place, unless there is one with this id */
  async #remove(id: string, { signal, timeoutMs }: ResolvedCall, again = false): Promise<boolean> {
    const runtime = this.#runtime;
    const endMs = runtime.clock.monotonicMs() + timeoutMs;
    const leftMs = () => endMs - runtime.clock.monotonicMs();
    const inTime = {
      signal,
      get timeoutMs() {
        return Math.max(1, leftMs());
      },
    };
    const letterKey = this.#keys.letter(id);
    const jobKey = this.#keys.job(id);
    return changeKey(this.#etcd, letterKey, inTime, async (kv) => {
      if (!kv) return false;
      const job = again ? { value: readLetter(kv).value, attempt: 0 } : undefined;
      const isFree = job ? [keyMissing(jobKey)] : [];
      const put = job ? [putOp(jobKey, writeJob(job))] : [];
      const { succeeded, unsure, responses } = await txnUntilKnown(
        {
          compare: [...isAsKnown(letterKey, kv), ...isFree],
          success: [deleteOp(letterKey), ...put],
          failure: [getOp(letterKey), getOp(jobKey)],
        },
        { etcd: this.#etcd, runtime, signal, leftMs, endsWhenFull: true },
      );
      if (succeeded) return true;
      const [letter, there] = responses.map(foundBy);
      if (letter) return job && there ? false : undefined;
      if (!unsure) return false;
      // An earlier attempt without an answer did it, or another process was faster.
      if (there) return job !== undefined && hasValue(there, job.value);
      if (!job) return true;
      const problem = `what became of the dead letter ${id} is not known: it was put back and done, or discarded`;
      throw new EtcdTimeoutError(`Queue.putBack: ${problem}`, { outcomeUnknown: true });
    });
  }
}

/** A worker may have claimed the job meanwhile: its value is still the same. */
function hasValue(job: KeyValue, value: string): boolean {
  try {
    return readJob(job).value === value;
  } catch {
    return false;
  }
}
