import type { Endpoint } from "../endpoints/endpoint.ts";
import type { EndpointChannel } from "../endpoints/endpoint-channel.ts";
import type { Token } from "./authenticator.ts";

interface Asked {
  readonly token: Token;
  /** Undefined once it is known to fit. */
  fits: Promise<boolean> | undefined;
}

/**
 * Finds out whether etcd can take a token that is older than the connection to it. A simple token names the raft index
 * at which it was made, and etcd lets everything that comes with it wait until it has come so far itself: one that was
 * wiped or restored since, perhaps for ever (HARDSHIPS 5). So the member is asked how far it is, once for each such
 * connection.
 */
export class TokenProbe {
  readonly #askIndex: (endpoint: Endpoint, channel: EndpointChannel) => Promise<number>;
  readonly #asked = new WeakMap<EndpointChannel, Asked>();

  /** @param askIndex asks the member at the other end for its raft index; rejects when it does not answer */
  constructor(askIndex: (endpoint: Endpoint, channel: EndpointChannel) => Promise<number>) {
    this.#askIndex = askIndex;
  }

  /**
   * Whether the token may be sent, or undefined when nothing speaks against it. A member that is behind the others gets
   * a new token, too: it makes one as soon as it has caught up.
   */
  fits(token: Token, endpoint: Endpoint, channel: EndpointChannel): Promise<boolean> | undefined {
    if (token.madeMs >= channel.sinceMs) return undefined;
    const known = this.#asked.get(channel);
    if (known?.token === token) return known.fits;
    const asked: Asked = { token, fits: undefined };
    this.#asked.set(channel, asked);
    const madeAt = raftIndexOf(token);
    if (madeAt === undefined) return undefined;
    const fits = this.#ask(asked, madeAt, endpoint, channel);
    // A call that was given up meanwhile does not wait for it.
    fits.catch(() => {});
    asked.fits = fits;
    return fits;
  }

  async #ask(asked: Asked, madeAt: number, endpoint: Endpoint, channel: EndpointChannel): Promise<boolean> {
    try {
      const fits = (await this.#askIndex(endpoint, channel)) >= madeAt;
      if (fits) asked.fits = undefined;
      return fits;
    } catch (error) {
      if (this.#asked.get(channel) === asked) this.#asked.delete(channel);
      throw error;
    }
  }
}

/** Undefined for what is no simple token, such as a jwt. */
function raftIndexOf({ value }: Token): number | undefined {
  const index = /^[^.]+\.(\d+)$/.exec(value ?? "")?.[1];
  return index === undefined ? undefined : Number(index);
}
