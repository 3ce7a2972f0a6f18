import { EtcdError } from "../../src/index.ts";

/**
 * Hands warnings on, but not the same one twice in a row: what is retried for hours is worth one line in a log. Of what
 * may pass by itself the same is what has the same reason, whichever call, key or endpoint it meets.
 */
export class WarnOnce {
  readonly #onWarning: (error: Error) => void;
  #last: string | undefined;

  constructor(onWarning: (error: Error) => void) {
    this.#onWarning = onWarning;
  }

  warn(error: Error): void {
    const reason = reasonOf(error);
    if (reason === this.#last) return;
    this.#last = reason;
    this.#onWarning(error);
  }

  /** It works: the same message is news again. */
  worked(): void {
    this.#last = undefined;
  }
}

function reasonOf(error: Error): string {
  if (!(error instanceof EtcdError) || !error.retryable) return error.message;
  let root: Error = error;
  while (root.cause instanceof Error) root = root.cause;
  // Addresses, ports and times.
  return `${error.code} ${root.message.replace(/\S*\d\S*/g, "")}`;
}
