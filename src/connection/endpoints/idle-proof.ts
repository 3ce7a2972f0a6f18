import { EtcdTimeoutError } from "../../errors/timeout-error.ts";
import { UnavailableError } from "../../errors/unavailable-error.ts";
import { translateFailure } from "../errors/error-translation.ts";
import type { Endpoint } from "./endpoint.ts";
import type { EndpointChannel } from "./endpoint-channel.ts";

/** Firewalls and address translators forget a connection that is silent for a while, some after a minute. */
const IDLE_MS = 60_000;
/** A connection that has not answered by then is given up: to dial anew costs little. */
const PROOF_LIMIT_MS = 1_000;

/**
 * Proves that a connection that was idle for long still leads to a server, before something is sent on it that may not
 * be sent twice. What was dropped in silence by a firewall in between looks like a connection that works: a put on it
 * would end without an answer, and with an unknown outcome.
 */
export class IdleProof {
  readonly #ask: (channel: EndpointChannel, limitMs: number) => Promise<unknown>;
  readonly #proofs = new WeakMap<EndpointChannel, Promise<void>>();

  /** @param ask asks the server at the other end something that costs it little, and that any server answers somehow */
  constructor(ask: (channel: EndpointChannel, limitMs: number) => Promise<unknown>) {
    this.#ask = ask;
  }

  /**
   * Undefined where there is nothing to prove. Calls at the same time share a proof.
   *
   * @throws UnavailableError when there is no answer: the connection is dropped, so that the next attempt dials anew
   */
  of(endpoint: Endpoint, channel: EndpointChannel): Promise<void> | undefined {
    if (channel.quietMs < IDLE_MS) return undefined;
    let proof = this.#proofs.get(channel);
    if (!proof) {
      proof = this.#prove(endpoint, channel).finally(() => this.#proofs.delete(channel));
      // Those who waited for it may have given up meanwhile.
      proof.catch(() => {});
      this.#proofs.set(channel, proof);
    }
    return proof;
  }

  async #prove(endpoint: Endpoint, channel: EndpointChannel): Promise<void> {
    try {
      await this.#ask(channel, PROOF_LIMIT_MS);
    } catch (cause) {
      const { error } = translateFailure(cause, { write: false });
      // A refusal is an answer, too.
      if (error instanceof UnavailableError || error instanceof EtcdTimeoutError) {
        endpoint.drop("calls", channel);
        const details = { cause, retryable: true };
        throw new UnavailableError(`${endpoint.url}: its connection was idle for long and is dead`, details);
      }
    }
    channel.heard();
  }
}
