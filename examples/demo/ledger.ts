import { defaultClient, prefix, type Storage } from "etcd-recipes";
import type { TaskState } from "../engine/scheduler/task-progress.ts";
import { keys } from "../engine/shared/keys.ts";

/** What came of the tasks of this demo. */
export interface Outcome {
  readonly submitted: number;
  readonly done: number;
  readonly cancelled: number;
  readonly dead: number;
  /** Without a final state, or done and no master knows of it. */
  readonly lost: number;
  /** By two masters; harmless, because a task does the same again. */
  readonly twice: number;
}

/** The tasks that the demo submitted, and the state of each, followed in etcd. */
export class Ledger implements AsyncDisposable {
  readonly #states = new Map<string, TaskState | undefined>();
  readonly #watching: AsyncDisposable;
  /** Resolves when what was there already is known. */
  readonly ready: Promise<void>;

  constructor(storage: Storage) {
    const note = (id: string, text: string) => {
      if (this.#states.has(id)) this.#states.set(id, stateIn(text));
    };
    const watching = storage.watch(keys.progress, note, () => {}, { initial: "replay" });
    this.#watching = watching;
    this.ready = watching.ready;
  }

  /** Before it is submitted, so that nothing of it is missed. */
  expect(id: string): void {
    this.#states.set(id, undefined);
  }

  get submitted(): number {
    return this.#states.size;
  }

  /** As far as etcd has answered. */
  state(id: string): TaskState | undefined {
    return this.#states.get(id);
  }

  count(state: TaskState | undefined): number {
    let count = 0;
    for (const it of this.#states.values()) if (it === state) count++;
    return count;
  }

  get open(): number {
    return this.submitted - this.count("done") - this.count("cancelled") - this.count("dead");
  }

  /**
   * What stands in etcd now, read anew, beside what the masters noted on their disks.
   *
   * @param effects how often each task was done
   */
  async close(effects: ReadonlyMap<string, number>): Promise<Outcome> {
    const { kvs } = await defaultClient().range(prefix(keys.progress));
    const states = new Map(kvs.map(({ key, text }) => [key.slice(keys.progress.length), stateIn(text)]));
    const ids = [...this.#states.keys()];
    const inState = (state: TaskState) => ids.filter((id) => states.get(id) === state);
    const [done, cancelled, dead] = [inState("done"), inState("cancelled"), inState("dead")];
    const open = ids.length - done.length - cancelled.length - dead.length;
    return {
      submitted: ids.length,
      done: done.length,
      cancelled: cancelled.length,
      dead: dead.length,
      lost: open + done.filter((id) => !effects.has(id)).length,
      twice: ids.filter((id) => (effects.get(id) ?? 0) > 1).length,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watching[Symbol.asyncDispose]();
  }
}

function stateIn(text: string): TaskState | undefined {
  try {
    return JSON.parse(text).state;
  } catch {
    return undefined;
  }
}
