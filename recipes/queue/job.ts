/** How a job ends, or goes back. */
export interface SettleOptions {
  /** Ends the wait: it rejects with `signal.reason`, and what was begun goes on. */
  signal?: AbortSignal | undefined;
}

export interface ReleaseOptions extends SettleOptions {
  /** How long the job stays away from workers, in milliseconds, at most a hundred years. @default 0 */
  delayMs?: number | undefined;
}

/**
 * A job in the hands of this worker.
 *
 * Guaranteed: while `signal` is not aborted no other worker is given it, and reading `signal.aborted` compares the
 * clock at that moment: also after a SIGSTOP the first line that looks knows. `ack()` resolves only if the job was
 * still this worker's in etcd, and then it never comes back.
 *
 * Not guaranteed: that it runs once. A worker can do the work and die before `ack()`; one that does not look at
 * `signal` goes on beside the next. So make the work repeatable, with `id` for instance.
 */
export interface Job {
  readonly id: string;
  readonly value: string;
  /** 1 for the first worker that gets it, and one more for each that got it after. */
  readonly attempt: number;
  /**
   * Aborts with a `JobLostError` when the job is no longer this worker's: lease lost, time over, released, queue
   * closed, its key changed or deleted by hand. Not by `ack()`. Reading `aborted` compares the clock; once true it
   * stays true. A signal that `AbortSignal.any()` makes of it does not compare on Node 20 and 22: after a pause of the
   * process it can read false a moment longer.
   */
  readonly signal: AbortSignal;
  /**
   * Says that the work is done: the job is gone for good. Repeated while etcd is out of reach, until the lease ends.
   * Calling it again is harmless.
   *
   * @throws JobLostError when the job is not this worker's any more; RequestRefusedError and the like; `signal.reason`
   */
  ack(options?: SettleOptions): Promise<void>;
  /**
   * Gives the job back, to its old place in the queue; with `delayMs`, when that time is over. With its attempts used
   * up it becomes a dead letter instead. Calling it again is harmless.
   *
   * @throws InvalidOptionError; JobLostError when the job is not this worker's any more; `signal.reason`
   */
  release(options?: ReleaseOptions): Promise<void>;
}
