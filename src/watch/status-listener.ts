import type { EtcdError } from "../errors/etcd-error.ts";
import { ListenerFailedError } from "../errors/listener-failed-error.ts";
import { asError } from "../internal/as-error.ts";
import type { Clock } from "../internal/clock.ts";
import { ProcessWarnings } from "../internal/process-warnings.ts";
import { keyName } from "../model/key-name.ts";
import type { KeyRange } from "../model/key-range.ts";

type OnStatus<Status> = ((status: Status, error?: EtcdError) => unknown) | undefined;

/** An `onStatus` that cannot hurt who calls it: what it throws, or rejects with, becomes a warning of the process. */
export class StatusListener<Status> {
  readonly #onStatus: OnStatus<Status>;
  readonly #what: () => string;
  readonly #clock: Clock;
  #warnings: ProcessWarnings | undefined;

  /** @param what whose it is: `watch` */
  constructor(onStatus: OnStatus<Status>, what: string, range: KeyRange, clock: Clock) {
    this.#onStatus = onStatus;
    this.#what = () => `onStatus of the ${what} of ${keyName(range)}`;
    this.#clock = clock;
  }

  tell(status: Status, error?: EtcdError): void {
    try {
      const returned = this.#onStatus?.(status, error);
      if (returned instanceof Promise) returned.catch((cause: unknown) => this.#failed(cause));
    } catch (cause) {
      this.#failed(cause);
    }
  }

  #failed(cause: unknown): void {
    this.#warnings ??= new ProcessWarnings(this.#clock);
    this.#warnings.emit(new ListenerFailedError(`${this.#what()} failed: ${asError(cause).message}`, { cause }));
  }
}
