import type { ServiceInstance, ServiceList } from "../../recipes/index.ts";
import type { Abort, AttemptEvents, Dispatch, DispatchOptions, Receiver } from "./handler.ts";
import { isIdempotent, type RequestBody, requestBody } from "./request-body.ts";

/** What came of an attempt: an answer, or an error instead of one. */
export interface RequestOutcome {
  readonly server: ServiceInstance;
  readonly status?: number;
  readonly error?: unknown;
}

export interface RequestLimits {
  readonly attempts: number;
  readonly waitMs: number;
  readonly isFailure: (outcome: RequestOutcome) => boolean;
  readonly key: string | undefined;
}

/** What the caller did wrong, or does: no server is at fault, and none would do better. */
const callersErrors = new Set([
  "UND_ERR_INVALID_ARG",
  "UND_ERR_NOT_SUPPORTED",
  "UND_ERR_ABORTED",
  "UND_ERR_CLOSED",
  "UND_ERR_DESTROYED",
  "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH",
  // What Node says of a body whose parts are neither strings nor bytes.
  "ERR_INVALID_ARG_TYPE",
]);

/** An error that says something of a server: one of the network, of TLS, of HTTP, or a time-out of undici. */
export function isOfServer(error: unknown): boolean {
  const code = (error as { readonly code?: unknown } | null | undefined)?.code;
  return typeof code === "string" && !callersErrors.has(code);
}

/** One request of the caller, to as many servers as it takes. */
export class PickedRequest {
  readonly #services: ServiceList;
  readonly #limits: RequestLimits;
  readonly #receiver: Receiver;
  readonly #idempotent: boolean;
  readonly #body: RequestBody;
  readonly #send: (server: ServiceInstance, body: unknown, events: AttemptEvents) => void;
  readonly #controller = new AbortController();
  readonly #tried = new Set<string>();
  #attempts = 0;
  #isAttempting = false;
  #abortAttempt: Abort | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastError: unknown;
  /** The caller has its answer, or its error. */
  #settled = false;
  #aborted = false;

  constructor(
    services: ServiceList,
    limits: RequestLimits,
    receiver: Receiver,
    options: DispatchOptions,
    optionsFor: (server: ServiceInstance, body: unknown) => DispatchOptions,
    dispatch: Dispatch,
  ) {
    this.#services = services;
    this.#limits = limits;
    this.#receiver = receiver;
    this.#idempotent = isIdempotent(options);
    this.#body = requestBody(options.body, (error) => this.#bodyFailed(error));
    this.#send = (server, body, events) => void dispatch(optionsFor(server, body), receiver.attempt(events));
  }

  /** Never throws. */
  run(): void {
    try {
      this.#receiver.begin((reason) => this.#abort(reason));
    } catch (error) {
      this.#abort(error);
    }
    if (this.#settled) return;
    const { attempts, key } = this.#limits;
    this.#awaitServer();
    this.#services
      .call((server) => this.#attempt(server), {
        attempts,
        // An attempt has the time that undici gives it: `headersTimeout`, `bodyTimeout`, the caller's signal.
        timeoutMs: Number.POSITIVE_INFINITY,
        signal: this.#controller.signal,
        ...(key !== undefined && { key }),
      })
      .catch((error) => this.#fail(error))
      .finally(() => clearTimeout(this.#timer));
  }

  /** The caller gives it up. */
  #abort(reason: unknown): void {
    if (this.#settled) return;
    this.#aborted = true;
    const error =
      reason ?? Object.assign(new Error("Request aborted"), { name: "AbortError", code: "UND_ERR_ABORTED" });
    if (this.#abortAttempt) this.#abortAttempt(error);
    else this.#fail(error);
    this.#controller.abort(error);
  }

  /** During an attempt undici hears of it, too, and fails the attempt. */
  #bodyFailed(error: unknown): void {
    if (this.#isAttempting) return;
    this.#fail(error);
    this.#controller.abort(error);
  }

  #fail(error: unknown): void {
    if (this.#settled) return;
    this.#settle();
    this.#receiver.fail(error);
  }

  #settle(): void {
    this.#settled = true;
    this.#body.release();
  }

  /** From now on a server has to be found in time. */
  #awaitServer(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#controller.abort(this.#lastError ?? this.#whyNoServer());
    }, this.#limits.waitMs);
  }

  #whyNoServer(): unknown {
    try {
      this.#services.pick();
      return new Error(`no server under ${this.#services.prefix} within ${this.#limits.waitMs} ms`);
    } catch (error) {
      return error;
    }
  }

  #attempt(server: ServiceInstance): Promise<void> {
    clearTimeout(this.#timer);
    this.#attempts++;
    this.#isAttempting = true;
    this.#tried.add(server.key);
    return new Promise((resolve, reject) => {
      let sent = false;
      let answered = false;
      let ended = false;
      let failure: Error | undefined;
      const end = (settle: () => void) => {
        if (ended) return;
        ended = true;
        this.#isAttempting = false;
        this.#abortAttempt = undefined;
        settle();
      };
      /** No attempt follows: `call()` would make one, so it is stopped. */
      const stop = (error: unknown, isFailure: boolean) => {
        if (isFailure) this.#services.report(server, error);
        this.#controller.abort(error);
        resolve();
      };
      const events: AttemptEvents = {
        sent: (abort) => {
          if (this.#aborted) {
            abort();
            return;
          }
          sent = true;
          this.#abortAttempt = abort;
        },
        answered: (status) => {
          const isFailure = this.#isFailure({ server, status });
          if (isFailure) failure = new Error(`${server.address} answered with ${status}`);
          if (isFailure && this.#mayRepeat() && this.#hasOther()) {
            this.#abortAttempt?.(failure);
            return false;
          }
          answered = true;
          return true;
        },
        completed: () =>
          end(() => {
            this.#settle();
            if (failure) stop(failure, true);
            else resolve();
          }),
        failed: (error) =>
          end(() => {
            const held = failure !== undefined && !answered;
            const isCallers = this.#aborted || this.#body.failedWith(error);
            const isFailure = held || (!isCallers && isOfServer(error) && this.#isFailure({ server, error }));
            const repeats = sent ? this.#mayRepeat() : this.#attempts < this.#limits.attempts && this.#body.isUnread;
            if (isFailure && repeats && !answered) {
              this.#lastError = error;
              this.#awaitServer();
              reject(error);
              return;
            }
            stop(error, isFailure);
            this.#fail(error);
          }),
      };
      try {
        this.#send(server, this.#body.content, events);
      } catch (error) {
        // Another interceptor, or what makes the connection: `call()` would count it against the server.
        events.failed(error);
      }
    });
  }

  #isFailure(outcome: RequestOutcome): boolean {
    return this.#limits.isFailure(outcome);
  }

  /** Whether it is safe to send it once more, although it was sent. */
  #mayRepeat(): boolean {
    return this.#attempts < this.#limits.attempts && this.#idempotent && this.#body.isRepeatable;
  }

  #hasOther(): boolean {
    return this.#services.list().some(({ key, draining, ejected }) => !draining && !ejected && !this.#tried.has(key));
  }
}
