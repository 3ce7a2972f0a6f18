import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import type { GrpcFailure, GrpcStream } from "../grpc/index.ts";
import type { Clock } from "../internal/clock.ts";
import { inMs } from "../internal/in-ms.ts";
import { patientTimer } from "../internal/patient-timer.ts";
import type { CallScope } from "./call-scope.ts";
import { translateFailure } from "./errors/error-translation.ts";

/**
 * What a server answers to one request in many messages, read one by one. While one waits to be read the stream is
 * paused, so that a slow reader holds no more of it than a window.
 */
export class ReplyStream {
  readonly #scope: CallScope;
  readonly #clock: Clock;
  readonly #messages: Buffer[] = [];
  #stream: GrpcStream | undefined;
  #end: { readonly failure: GrpcFailure | undefined } | undefined;
  #wake: (() => void) | undefined;

  constructor(scope: CallScope, clock: Clock) {
    this.#scope = scope;
    this.#clock = clock;
  }

  /** Takes the stream that was opened with this as its handlers. */
  opened(stream: GrpcStream): void {
    this.#stream = stream;
    // Also while nothing waits for a message: nothing else would end a stream that is paused.
    this.#scope.holds(stream);
  }

  onMessage(message: Buffer): void {
    this.#messages.push(message);
    this.#stream?.pause();
    this.#wake?.();
  }

  onEnd(failure: GrpcFailure | undefined): void {
    this.#end = { failure };
    this.#wake?.();
  }

  /**
   * Waits until there is a message to read, or the stream is over.
   *
   * @returns how it ended, if it did before any message
   */
  async begun(limitMs: number): Promise<{ readonly failure: GrpcFailure | undefined } | undefined> {
    await this.#something(limitMs);
    return this.#messages.length > 0 ? undefined : this.#end;
  }

  /**
   * @returns undefined when the server has ended the stream and all was well
   * @throws EtcdTimeoutError when nothing comes within `limitMs`; what the stream ended with; the reason of the scope
   */
  async next(limitMs: number): Promise<Buffer | undefined> {
    await this.#something(limitMs);
    const message = this.#messages.shift();
    if (this.#messages.length === 0) this.#stream?.resume();
    if (message) return message;
    const failure = this.#end?.failure;
    if (failure) throw translateFailure(failure, { write: false }).error;
    return undefined;
  }

  close(): void {
    this.#scope.release();
    this.#stream?.cancel();
  }

  async #something(limitMs: number): Promise<void> {
    if (this.#messages.length > 0 || this.#end) {
      this.#scope.throwIfEnded();
      return;
    }
    await this.#scope.wait<void>((resolve, reject) => {
      const silent = () => new EtcdTimeoutError(`nothing came within ${inMs(limitMs)}`, { retryable: true });
      const timer = patientTimer(this.#clock, limitMs, () => reject(silent()));
      this.#wake = () => {
        timer.cancel();
        resolve();
      };
      return timer;
    });
  }
}
