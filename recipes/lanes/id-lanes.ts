import { asError, type Runtime } from "../../src/internal/index.ts";
import { RetryPause } from "../retries/index.ts";

/** What may wait for one id before older tasks give way to newer ones. */
const LONGEST_LANE = 64;
/** What may wait in all before `room()` makes its caller wait. */
const MOST_WAITING = 10_000;

export interface IdLanesParts<Task> {
  /** How many tasks run at a time, each of another id. */
  readonly concurrency: number;
  readonly runtime: Runtime;
  /** Does one task; what it throws is reported, and the task is run again after a while. */
  readonly run: (id: string, task: Task) => Promise<void> | void;
  /** What the tasks of one id come to when there are too many of them, or the first one fails. */
  readonly merge: (tasks: readonly Task[]) => Task[];
  readonly onWarning: (id: string, task: Task, error: Error, againInMs: number) => void;
}

interface Lane<Task> {
  waiting: Task[];
  /** Settles, never rejects, when the task that runs has ended. */
  running: Promise<void> | undefined;
  holds: number;
  /** After a failure, until a task of it succeeds. */
  pause: RetryPause | undefined;
  /** How many of those that wait count for `room()`. */
  counted: number;
}

/** What was waiting for an id, and how to let it go on. */
export interface Hold<Task> {
  readonly dropped: readonly Task[];
  release(): void;
}

/**
 * Runs tasks that belong to ids: those of one id one after the other, in order; those of different ids in parallel, so
 * many at a time. A task that fails is run again, after growing random delays of up to 30 s, before the next one of its
 * id; other ids do not wait for it. So each lane has pauses of its own, and no loop that waits.
 */
export class IdLanes<Task> {
  readonly #parts: IdLanesParts<Task>;
  readonly #lanes = new Map<string, Lane<Task>>();
  /** Ids whose first task can run, in the order in which they may. */
  readonly #due = new Set<string>();
  #running = 0;
  #waiting = 0;
  #waitingForRoom: (() => void)[] = [];
  #ended = false;

  constructor(parts: IdLanesParts<Task>) {
    this.#parts = parts;
  }

  add(id: string, task: Task): void {
    if (this.#ended) return;
    const lane = this.#lane(id);
    this.#setWaiting(lane, [...lane.waiting, task], lane.pause !== undefined || lane.waiting.length >= LONGEST_LANE);
    this.#schedule(id, lane);
  }

  /** Whether anything of this id waits, runs or is held. */
  has(id: string): boolean {
    return this.#lanes.has(id);
  }

  /**
   * Takes out what waits for an id, waits until what runs has ended, and lets nothing of this id run before the
   * release. What runs and fails is not run again; it is among the dropped.
   */
  async hold(id: string): Promise<Hold<Task>> {
    const lane = this.#lane(id);
    lane.holds++;
    const dropped = lane.waiting;
    this.#setWaiting(lane, []);
    this.#calm(lane);
    this.#due.delete(id);
    if (lane.running) {
      await lane.running;
      dropped.unshift(...lane.waiting);
      this.#setWaiting(lane, []);
      this.#calm(lane);
    }
    return {
      dropped,
      release: () => {
        lane.holds--;
        this.#schedule(id, lane);
        this.#tidy(id, lane);
      },
    };
  }

  /** Resolves when not too much waits. What waits behind a failure does not count: it is merged. */
  async room(): Promise<void> {
    while (!this.#ended && this.#waiting >= MOST_WAITING) {
      await new Promise<void>((resolve) => this.#waitingForRoom.push(resolve));
    }
  }

  /** Runs nothing any more. @returns a promise that settles when what runs now has ended */
  async end(): Promise<void> {
    this.#ended = true;
    const running: Promise<void>[] = [];
    for (const lane of this.#lanes.values()) {
      lane.pause?.cancel();
      if (lane.running) running.push(lane.running);
    }
    this.#lanes.clear();
    this.#due.clear();
    this.#makeRoom();
    await Promise.all(running);
  }

  #lane(id: string): Lane<Task> {
    const known = this.#lanes.get(id);
    if (known) return known;
    const lane: Lane<Task> = {
      waiting: [],
      running: undefined,
      holds: 0,
      pause: undefined,
      counted: 0,
    };
    this.#lanes.set(id, lane);
    return lane;
  }

  #schedule(id: string, lane: Lane<Task>): void {
    if (this.#ended || lane.running || lane.pause?.isOn || lane.holds > 0 || lane.waiting.length === 0) return;
    this.#due.add(id);
    this.#pump();
  }

  #pump(): void {
    for (const id of this.#due) {
      if (this.#running >= this.#parts.concurrency) return;
      this.#due.delete(id);
      const lane = this.#lanes.get(id);
      if (lane) this.#start(id, lane);
    }
  }

  #start(id: string, lane: Lane<Task>): void {
    const [task, ...rest] = lane.waiting;
    if (task === undefined) return;
    this.#setWaiting(lane, rest);
    this.#running++;
    lane.running = this.#run(id, lane, task).finally(() => {
      this.#running--;
      lane.running = undefined;
      this.#schedule(id, lane);
      this.#tidy(id, lane);
      this.#pump();
    });
  }

  async #run(id: string, lane: Lane<Task>, task: Task): Promise<void> {
    try {
      await this.#parts.run(id, task);
      this.#calm(lane);
    } catch (error) {
      if (this.#ended) return;
      lane.pause ??= new RetryPause(this.#parts.runtime, { initialMs: 200, maxMs: 30_000 });
      const againInMs = lane.pause.begin(() => this.#schedule(id, lane));
      this.#setWaiting(lane, [task, ...lane.waiting], true);
      this.#parts.onWarning(id, task, asError(error), againInMs);
    }
  }

  #calm(lane: Lane<Task>): void {
    lane.pause?.cancel();
    lane.pause = undefined;
    this.#count(lane);
  }

  #setWaiting(lane: Lane<Task>, waiting: Task[], merge = false): void {
    lane.waiting = merge ? this.#parts.merge(waiting) : waiting;
    this.#count(lane);
  }

  #count(lane: Lane<Task>): void {
    const counted = lane.pause ? 0 : lane.waiting.length;
    this.#waiting += counted - lane.counted;
    lane.counted = counted;
    if (this.#waiting < MOST_WAITING) this.#makeRoom();
  }

  #makeRoom(): void {
    const waiting = this.#waitingForRoom;
    if (waiting.length === 0) return;
    this.#waitingForRoom = [];
    for (const resolve of waiting) resolve();
  }

  #tidy(id: string, lane: Lane<Task>): void {
    if (lane.waiting.length > 0 || lane.running || lane.pause?.isOn || lane.holds > 0) return;
    if (this.#lanes.get(id) === lane) this.#lanes.delete(id);
  }
}
