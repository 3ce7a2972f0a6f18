import type { EtcdError } from "../errors/etcd-error.ts";
import { ListenerFailedError } from "../errors/listener-failed-error.ts";
import { errorOfCall } from "../errors/of-call.ts";
import { asError } from "../internal/as-error.ts";
import type { Clock } from "../internal/clock.ts";
import { ProcessWarnings } from "../internal/process-warnings.ts";
import { keyName } from "../model/key-name.ts";
import type { KeyRange } from "../model/key-range.ts";

type OnStatus<Status> = ((status: Status, error?: EtcdError) => unknown) | undefined;

/**
 * The listener for the status of a watch or a mirror, with its name in each error. The listener cannot hurt it: what it
 * throws, or rejects with, becomes a warning of the process.
 */
export class StatusListener<Status> {
  readonly #onStatus: OnStatus<Status>;
  readonly #name: () => string;
  readonly #clock: Clock;
  #warnings: ProcessWarnings | undefined;

  /** @param what whose it is: `watch` */
  constructor(onStatus: OnStatus<Status>, what: string, range: KeyRange, clock: Clock) {
    this.#onStatus = onStatus;
    this.#name = () => `${what} ${keyName(range)}`;
    this.#clock = clock;
  }

  notify(status: Status, error?: EtcdError): void {
    try {
      const returned = this.#onStatus?.(status, error && this.named(error));
      if (returned instanceof Promise) returned.catch((cause: unknown) => this.#failed(cause));
    } catch (cause) {
      this.#failed(cause);
    }
  }

  /** The error as the caller gets it: with what failed, and its key. The reason of an abort stays as it is. */
  named<Cause>(error: Cause, signal?: AbortSignal | undefined): Cause {
    return errorOfCall(this.#name, error, signal) as Cause;
  }

  #failed(cause: unknown): void {
    this.#warnings ??= new ProcessWarnings(this.#clock);
    this.#warnings.emit(
      new ListenerFailedError(`onStatus of ${this.#name()} failed: ${asError(cause).message}`, { cause }),
    );
  }
}
