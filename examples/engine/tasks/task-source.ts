import type { Task } from "./task.ts";

/** A task that the source gave to this leader, until it is acknowledged. */
export interface Taken {
  /** The source's own name for it. */
  readonly id: string;
  /** The task, as it was submitted: it may be malformed. */
  readonly value: string;
  /** Aborts when another scheduler may get it. */
  readonly signal: AbortSignal;
  /** It is over, and never comes again. Repeated while the source is away. @throws `signal.reason` */
  ack(signal: AbortSignal): Promise<void>;
  /**
   * It cannot be done: it is put aside, with the reason, and never comes again. Repeated likewise. @throws
   * `signal.reason`
   */
  deadLetter(reason: string, signal: AbortSignal): Promise<void>;
}

export interface DeadLetter {
  readonly value: string;
  readonly reason: string;
}

/**
 * Where tasks come from. A leader opens one for its term. Guaranteed: what was submitted is taken again and again until
 * it was acknowledged; what a leader has taken and not acknowledged is taken by the next one, when this source was
 * closed or its process died. Not guaranteed: that it is taken once, so tasks are idempotent by id.
 *
 * There is no way to give one back: a leader that tries a task again, or waits for a confirmation, keeps it in hand.
 * Nothing runs out meanwhile, and if the leader dies the next one begins where `progress` says.
 */
export interface TaskSource extends AsyncDisposable {
  /** Waits for a task, however long the source is away. One call at a time. @throws `signal.reason` */
  take(signal: AbortSignal): Promise<Taken>;
  submit(tasks: readonly Task[], signal: AbortSignal): Promise<void>;
  /** How many are not acknowledged. */
  size(): Promise<number>;
  deadLetters(): Promise<DeadLetter[]>;
}
