import { compareModRevision, deleteOp, type EtcdClient, keyMissing, putOp } from "../../src/index.ts";
import type { Runtime } from "../../src/internal/index.ts";
import { asError } from "../../src/internal/index.ts";
import { txnUntilKnown } from "../writes/index.ts";
import { type LetterContent, readLetter, writeJob } from "./job-content.ts";
import type { ResolvedCall } from "./options.ts";
import type { QueueKeys } from "./queue-keys.ts";

/** A job that was tried too often. It stays until somebody puts it back or discards it. */
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

  /** All of them, the oldest first; what cannot be read is told and left out. */
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
    return this.#remove(id, call, ({ value }) => [putOp(this.#keys.job(id), writeJob({ value, attempt: 0 }))]);
  }

  /** @returns false when there is none */
  async discard(id: string, call: ResolvedCall): Promise<boolean> {
    return this.#remove(id, call);
  }

  async #remove(
    id: string,
    { signal, timeoutMs }: ResolvedCall,
    instead?: (letter: LetterContent) => ReturnType<typeof putOp>[],
  ): Promise<boolean> {
    const { clock } = this.#runtime;
    const endMs = clock.monotonicMs() + timeoutMs;
    const leftMs = () => endMs - clock.monotonicMs();
    for (;;) {
      const kv = await this.#etcd.get(this.#keys.letter(id), { signal, timeoutMs: Math.max(1, leftMs()) });
      if (!kv) return false;
      const puts = instead?.(readLetter(kv)) ?? [];
      const { succeeded, unsure } = await txnUntilKnown(
        {
          compare: [
            compareModRevision(this.#keys.letter(id), "equal", kv.modRevision),
            ...(instead ? [keyMissing(this.#keys.job(id))] : []),
          ],
          success: [deleteOp(this.#keys.letter(id)), ...puts],
        },
        { etcd: this.#etcd, runtime: this.#runtime, signal, leftMs },
      );
      if (succeeded || unsure) return true;
      if (instead && (await this.#etcd.get(this.#keys.job(id), { signal }))) return false;
    }
  }
}
