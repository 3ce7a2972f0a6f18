import type { IStatusResponse } from "etcd3/lib/rpc.js";
import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { attempt } from "./attempt.ts";
import type { Token } from "./auth/authenticator.ts";
import { TokenProbe } from "./auth/token-probe.ts";
import { CallScope } from "./call-scope.ts";
import { stubCall } from "./codec/wire-call.ts";
import type { Endpoint } from "./endpoints/endpoint.ts";
import type { EndpointChannel } from "./endpoints/endpoint-channel.ts";
import { IdleProof } from "./endpoints/idle-proof.ts";
import { translateFailure } from "./errors/error-translation.ts";

/** What the member at the other end of a connection is asked before a call is sent there. */
export class MemberQuestions {
  readonly #open: Set<CallScope>;
  readonly #limitMs: number;
  readonly #probe = new TokenProbe((endpoint, channel) => this.#askRaftIndex(endpoint, channel));
  readonly #idleProof = new IdleProof((channel, limitMs) => this.#askStatus(channel, limitMs));

  /** @param open the calls that the client's close ends */
  constructor(open: Set<CallScope>, limitMs: number) {
    this.#open = open;
    this.#limitMs = limitMs;
  }

  /** See `TokenProbe.fits()`. */
  fits(token: Token, endpoint: Endpoint, channel: EndpointChannel): Promise<boolean> | undefined {
    return this.#probe.fits(token, endpoint, channel);
  }

  /** See `IdleProof.of()`. */
  stillThere(endpoint: Endpoint, channel: EndpointChannel): Promise<void> | undefined {
    return this.#idleProof.of(endpoint, channel);
  }

  /** How far a member is. Etcd says it to everybody; one that keeps it to itself is taken to be far enough. */
  async #askRaftIndex(endpoint: Endpoint, channel: EndpointChannel): Promise<number> {
    try {
      return Number((await this.#askStatus(channel, this.#limitMs)).raftIndex);
    } catch (cause) {
      const { error } = translateFailure(cause, { write: false });
      if (error instanceof EtcdTimeoutError) endpoint.drop("calls", channel);
      if (error instanceof UnavailableError || error instanceof EtcdTimeoutError) throw error;
      return Number.POSITIVE_INFINITY;
    }
  }

  /** What the member at the other end says of itself, which costs it little. */
  async #askStatus(channel: EndpointChannel, limitMs: number): Promise<IStatusResponse> {
    const scope = new CallScope(undefined, this.#open);
    const { call, encode } = stubCall<IStatusResponse>("Maintenance", "status");
    try {
      return await attempt(scope, call, encode({}), { channel, kind: "read", limitMs, token: undefined });
    } finally {
      scope.release();
    }
  }
}
