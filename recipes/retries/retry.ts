import { asError, Backoff, type BackoffOptions, type Runtime, sleep } from "../../src/internal/index.ts";

export interface RetryOptions {
  readonly runtime: Runtime;
  readonly signal?: AbortSignal | undefined;
  readonly backoff?: BackoffOptions | undefined;
  /** How long it may go on: the pauses leave time for more attempts. @default without an end */
  readonly leftMs?: (() => number | undefined) | undefined;
  /** Whether it ends with this failure. @default none ends it */
  readonly ends?: ((error: unknown) => boolean) | undefined;
  /** Called with each failure that another attempt follows. */
  readonly onWarning?: ((error: Error, againInMs: number) => void) | undefined;
  /** Waits for the next attempt, for so long at most. @default for so long, or until `signal` aborts */
  readonly pause?: ((delayMs: number) => Promise<void>) | undefined;
}

/**
 * Repeats an attempt, after growing random delays, until it has an answer, its failure is final or `signal` aborts.
 *
 * @param attempt undefined says that it is too early for an answer. A long one calls `worked` when it has come through:
 *   once that has lasted, the delays begin small again (see `Backoff`)
 * @throws the failure that ends it; `signal.reason`
 */
export async function retry<Answer extends NonNullable<unknown>>(
  attempt: (worked: () => void) => Promise<Answer | undefined>,
  { runtime, signal, backoff: options, leftMs, ends, onWarning, pause }: RetryOptions,
): Promise<Answer> {
  // Made when it is needed: most attempts succeed.
  let backoff: Backoff | undefined;
  const worked = () => backoff?.succeeded();
  for (;;) {
    signal?.throwIfAborted();
    let failure: { readonly cause: unknown } | undefined;
    try {
      const answer = await attempt(worked);
      if (answer !== undefined) return answer;
    } catch (cause) {
      signal?.throwIfAborted();
      if (ends?.(cause)) throw cause;
      failure = { cause };
    }
    backoff ??= new Backoff(runtime, options);
    const delayMs = backoff.nextMs({ ...failure, leftMs: leftMs?.() });
    if (failure) onWarning?.(asError(failure.cause), delayMs);
    await (pause ? pause(delayMs) : sleep(runtime.clock, delayMs, signal));
  }
}
