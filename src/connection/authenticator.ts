/** A token, or that there is none because authentication is not enabled. Its identity tells one from the next. */
export interface Token {
  readonly value: string | undefined;
  /** When it was given (monotonic). */
  readonly madeMs: number;
}

/**
 * The one token of a client. Whoever needs one while none is there waits for the same request (GUARANTEES 3): etcd takes
 * some 100 ms of CPU for each password.
 */
export class Authenticator {
  readonly #authenticate: () => Promise<Token>;
  #token: Token | undefined;
  #asking: Promise<Token> | undefined;

  /** @param authenticate asks etcd for a token, within a time of its own */
  constructor(authenticate: () => Promise<Token>) {
    this.#authenticate = authenticate;
  }

  /** The token at hand. */
  get token(): Token | undefined {
    return this.#token;
  }

  /** The token at hand, or a new one. Rejects as the request does; the next call asks again. */
  current(): Promise<Token> {
    if (this.#token) return Promise.resolve(this.#token);
    this.#asking ??= this.#authenticate().then(
      (token) => {
        this.#token = token;
        this.#asking = undefined;
        return token;
      },
      (error: unknown) => {
        this.#asking = undefined;
        throw error;
      },
    );
    return this.#asking;
  }

  /** etcd does not take this one any more. Of a token that is not the one at hand nothing follows. */
  forget(token: Token): void {
    if (this.#token === token) this.#token = undefined;
  }
}
