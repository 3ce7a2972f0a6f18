import { defaultClient, keyMissing, putOp } from "etcd-recipes";
import { DetachedLease } from "../shared/detached-lease.ts";
import { keys } from "../shared/keys.ts";

/**
 * Which tasks are done, by whichever master. A scheduler that did not get the answer sends a task again: then it is not
 * done again, unless two masters have it at the same moment.
 */
export class Results {
  readonly #recordLease = new DetachedLease();
  /** For as long as etcd could not be reached. */
  readonly #own = new Set<string>();

  async isDone(taskId: string): Promise<boolean> {
    return this.#own.has(taskId) || (await defaultClient().get(keys.results + taskId)) !== undefined;
  }

  /** @returns false when another master has done it, too */
  async record(taskId: string, by: string): Promise<boolean> {
    const key = keys.results + taskId;
    this.#own.add(taskId);
    const { succeeded } = await this.#recordLease.use((lease) =>
      defaultClient().txn({ compare: [keyMissing(key)], success: [putOp(key, by, { lease })] }),
    );
    this.#own.delete(taskId);
    return succeeded;
  }
}
