// What is used of undici, in types of our own: they hold for 6, 7 and the one that Node brings.

export type Headers = Readonly<Record<string, unknown>> | readonly unknown[] | Iterable<readonly [string, unknown]>;

/** A request, as a dispatcher gets it; what is not named here is passed on. */
export interface DispatchOptions {
  readonly origin?: string | URL | undefined;
  readonly method: string;
  readonly headers?: Headers | null | undefined;
  readonly body?: unknown;
  readonly headersTimeout?: number | null | undefined;
  /** Whether it may be repeated, whatever its method says. */
  readonly idempotent?: boolean | undefined;
}

export type Abort = (reason?: unknown) => void;

/** How a request receives its answer in undici 6, and by `fetch` in 7. */
export interface PlainHandler {
  onConnect?(abort: Abort, context?: unknown): void;
  onHeaders?(status: number, headers: unknown, resume: () => void, text: string): unknown;
  onData?(chunk: unknown): unknown;
  onComplete?(trailers: unknown): unknown;
  onError?(error: unknown): void;
  onUpgrade?(status: number, headers: unknown, socket: unknown): unknown;
  onBodySent?(chunk: unknown): void;
  onRequestSent?(): void;
  onResponseStarted?(): void;
}

/** The grip that undici 7 gives on an answer. */
export interface Controller {
  readonly paused: boolean;
  readonly aborted: boolean;
  readonly reason: unknown;
  rawHeaders?: unknown;
  rawTrailers?: unknown;
  pause(): void;
  resume(): void;
  abort(reason?: unknown): void;
}

/** How a request hears of its answer from undici 7 on. */
export interface ControlledHandler {
  onRequestStart(controller: Controller, context?: unknown): void;
  onResponseStart?(controller: Controller, status: number, headers: unknown, text?: string): void;
  onResponseData?(controller: Controller, chunk: unknown): void;
  onResponseEnd?(controller: Controller, trailers: unknown): void;
  onResponseError?(controller: Controller, error: unknown): void;
  onRequestUpgrade?(controller: Controller, status: number, headers: unknown, socket: unknown): void;
  onResponseStarted?(): void;
}

export type Handler = PlainHandler | ControlledHandler;
export type Dispatch = (options: DispatchOptions, handler: Handler) => unknown;

/** What an attempt says of itself. */
export interface AttemptEvents {
  /** The request is about to be sent. */
  sent(abort: Abort): void;
  /** @returns whether the answer is passed on; if not, the attempt has been aborted */
  answered(status: number): boolean;
  completed(): void;
  failed(error: unknown): void;
}

/** The caller's handler, which sees one request whatever attempts are made. */
export interface Receiver {
  begin(abort: Abort): void;
  fail(error: unknown): void;
  /** A handler for one attempt, in the form that the caller's has: it passes on what is meant for the caller. */
  attempt(events: AttemptEvents): Handler;
}

export function receiverOf(handler: Handler): Receiver {
  return "onRequestStart" in handler ? new Controlled(handler) : new Plain(handler);
}

class Plain implements Receiver {
  readonly #handler: PlainHandler;

  constructor(handler: PlainHandler) {
    this.#handler = handler;
  }

  begin(abort: Abort): void {
    this.#handler.onConnect?.(abort);
  }

  fail(error: unknown): void {
    this.#handler.onError?.(error);
  }

  attempt(events: AttemptEvents): PlainHandler {
    const to = this.#handler;
    return {
      onConnect: (abort) => events.sent(abort),
      onHeaders: (status, headers, resume, text) =>
        status < 200 || events.answered(status) ? to.onHeaders?.(status, headers, resume, text) : false,
      onData: (chunk) => to.onData?.(chunk),
      onComplete(trailers) {
        events.completed();
        return to.onComplete?.(trailers);
      },
      onError: (error) => events.failed(error),
      onBodySent: (chunk) => to.onBodySent?.(chunk),
      onRequestSent: () => to.onRequestSent?.(),
      onResponseStarted: () => to.onResponseStarted?.(),
      ...(to.onUpgrade && {
        onUpgrade(status: number, headers: unknown, socket: unknown) {
          events.completed();
          return to.onUpgrade?.(status, headers, socket);
        },
      }),
    };
  }
}

/** One grip on all attempts: the caller keeps what it got at first. */
class Grip implements Controller {
  target: Controller | undefined;
  readonly #abort: Abort;
  #paused = false;
  #aborted: { readonly reason: unknown } | undefined;

  constructor(abort: Abort) {
    this.#abort = abort;
  }

  get paused(): boolean {
    return this.#paused;
  }

  get aborted(): boolean {
    return this.#aborted !== undefined;
  }

  get reason(): unknown {
    return this.#aborted?.reason ?? null;
  }

  get rawHeaders(): unknown {
    return this.target?.rawHeaders;
  }

  get rawTrailers(): unknown {
    return this.target?.rawTrailers;
  }

  pause(): void {
    this.#paused = true;
    this.target?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.target?.resume();
  }

  abort(reason?: unknown): void {
    if (this.#aborted) return;
    this.#aborted = { reason };
    this.#abort(reason);
  }
}

class Controlled implements Receiver {
  readonly #handler: ControlledHandler;
  #grip = new Grip(() => {});

  constructor(handler: ControlledHandler) {
    this.#handler = handler;
  }

  begin(abort: Abort): void {
    this.#grip = new Grip(abort);
    this.#handler.onRequestStart(this.#grip);
  }

  fail(error: unknown): void {
    this.#handler.onResponseError?.(this.#grip, error);
  }

  attempt(events: AttemptEvents): ControlledHandler {
    const to = this.#handler;
    const grip = this.#grip;
    return {
      onRequestStart(controller) {
        grip.target = controller;
        if (grip.paused) controller.pause();
        events.sent((reason) => controller.abort(reason));
      },
      onResponseStart(_, status, headers, text) {
        if (status < 200 || events.answered(status)) to.onResponseStart?.(grip, status, headers, text);
      },
      onResponseData: (_, chunk) => to.onResponseData?.(grip, chunk),
      onResponseEnd(_, trailers) {
        events.completed();
        to.onResponseEnd?.(grip, trailers);
      },
      onResponseError: (_, error) => events.failed(error),
      onResponseStarted: () => to.onResponseStarted?.(),
      onRequestUpgrade(_, status, headers, socket) {
        events.completed();
        to.onRequestUpgrade?.(grip, status, headers, socket);
      },
    };
  }
}
