import { EtcdError } from "../../errors/etcd-error.ts";
import { within } from "../../internal/abort.ts";
import { Backoff } from "../../internal/backoff.ts";
import type { Runtime } from "../../internal/runtime.ts";
import type { CallScope } from "../call-scope.ts";
import { type Failure, isAuthNotEnabled } from "../errors/error-translation.ts";
import type { Patience, RpcOptions } from "../rpc-options.ts";
import { TlsError } from "../tls/tls-error.ts";

/**
 * The request for a token gets this many times the time of an attempt at most, after it ran out of it again and again.
 * A password costs etcd some 100 ms of CPU, also when no caller waits any more: asked anew too early, again and again,
 * a crowd of clients never gets a token (HARDSHIPS 13).
 */
const MOST_PATIENCE = 16;

/**
 * A token, or that there is none because authentication is not enabled. Its identity distinguishes one from the next.
 */
export interface Token {
  readonly value: string | undefined;
  /** When it was given (monotonic). */
  readonly madeMs: number;
}

export interface AuthenticatorParts {
  readonly runtime: Runtime;
  /** How long the first attempt may take. */
  readonly attemptLimitMs: number;
  readonly requestTimeoutMs: number;
  /** Asks etcd for a token. */
  ask(rpc: RpcOptions): Promise<string>;
}

/** A call that waits for a token: within its own time, and no longer than its caller wants it. */
export interface Waiting {
  readonly scope: CallScope;
  /** Monotonic. */
  readonly deadlineMs: number;
  /** @param last what the request for a token last failed with */
  outOfTime(last: Failure | undefined): Error;
}

/**
 * The one token of a client. A call that needs one while there is none waits for the same request (GUARANTEES 3): etcd
 * takes some 100 ms of CPU for each password.
 */
export class Authenticator implements Patience {
  readonly #parts: AuthenticatorParts;
  #token: Token | undefined;
  #asking: Promise<Token> | undefined;
  /** It says why a call that waits for a token runs out of time. */
  #lastFailure: Failure | undefined;
  /** Doubles with each request that is not answered in time. */
  #patience = 1;

  constructor(parts: AuthenticatorParts) {
    this.#parts = parts;
  }

  /** The token at hand. */
  get token(): Token | undefined {
    return this.#token;
  }

  /** The token at hand, or the next one. A failure that may pass is waited out. */
  async tokenFor({ scope, deadlineMs, outOfTime }: Waiting): Promise<Token> {
    if (this.#token) return this.#token;
    const { runtime } = this.#parts;
    const { clock } = runtime;
    const backoff = new Backoff(runtime, { initialMs: 20, maxMs: 500 });
    for (;;) {
      try {
        return await scope.waitFor(() => this.tokenWithin(deadlineMs - clock.monotonicMs(), outOfTime));
      } catch (error) {
        scope.throwIfEnded();
        const pauseMs = backoff.nextMs({ leftMs: deadlineMs - clock.monotonicMs() });
        const again = error instanceof EtcdError && error.retryable && !(error instanceof TlsError);
        if (!again || clock.monotonicMs() + pauseMs >= deadlineMs) throw error;
        await scope.pause(clock, pauseMs);
      }
    }
  }

  /** The token at hand, or the next one. Rejects as the request for it does; the next call asks again. */
  async tokenWithin(limitMs: number, outOfTime: (last: Failure | undefined) => Error): Promise<Token> {
    const late = () => outOfTime(this.#lastFailure);
    return this.#token ?? within(this.#parts.runtime.clock, this.#next(), limitMs, late);
  }

  /** How long one attempt to get a token may take. */
  get attemptLimitMs(): number {
    return this.#parts.attemptLimitMs * this.#patience;
  }

  attemptFailed(failure: Failure): void {
    this.#lastFailure = failure;
    // It was sent, and etcd may be at it still.
    if (!failure.neverExecuted) this.#patience = Math.min(MOST_PATIENCE, this.#patience * 2);
  }

  /** etcd does not take this one any more. Of a token that is not the one at hand nothing follows. */
  forget(token: Token): void {
    if (this.#token === token) this.#token = undefined;
  }

  #next(): Promise<Token> {
    this.#asking ??= this.#ask();
    return this.#asking;
  }

  async #ask(): Promise<Token> {
    const { requestTimeoutMs, runtime, ask } = this.#parts;
    const timeoutMs = Math.max(requestTimeoutMs, this.attemptLimitMs);
    try {
      const value = await ask({ kind: "read", timeoutMs, signal: undefined, anonymous: true, patience: this });
      this.#lastFailure = undefined;
      this.#patience = 1;
      this.#token = { value, madeMs: runtime.clock.monotonicMs() };
    } catch (error) {
      // Authentication is not enabled, which it may be later on.
      if (!isAuthNotEnabled(error)) throw error;
      this.#token = { value: undefined, madeMs: Number.POSITIVE_INFINITY };
    } finally {
      this.#asking = undefined;
    }
    return this.#token;
  }
}
