/** A pending timer; `cancel()` is idempotent. */
export interface Timer {
  cancel(): void;
  /** Lets the process end although the timer is pending. */
  unref(): Timer;
}
