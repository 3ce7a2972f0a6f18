import type { KeepAliveStream, LeaseKeepAliveResponse, Protocol, StreamEndpoint } from "../connection/index.ts";
import type { EtcdError } from "../errors/etcd-error.ts";
import type { LeaseId } from "../model/lease-id.ts";
import type { SendTime } from "./lease-deadline.ts";

export interface RenewalStreamOwner {
  mark(): SendTime;
  answered(stream: RenewalStream, response: LeaseKeepAliveResponse, sent: SendTime): void;
  ended(stream: RenewalStream, error: EtcdError): void;
}

/**
 * One keep-alive stream on one endpoint, usable before it is open: renewals wait in it until it is.
 * At most one renewal per lease is unanswered on it; an answer counts from when that renewal was sent here.
 */
export class RenewalStream {
  readonly endpoint: StreamEndpoint;
  readonly #owner: RenewalStreamOwner;
  /** When each unanswered renewal was asked for, and when it left. */
  readonly #unanswered = new Map<LeaseId, { askedMs: number; sent: SendTime | undefined }>();
  readonly #closing = new AbortController();
  #stream: KeepAliveStream | undefined;

  constructor(protocol: Protocol, endpoint: StreamEndpoint, dialLimitMs: number, owner: RenewalStreamOwner) {
    this.endpoint = endpoint;
    this.#owner = owner;
    void this.#open(protocol, dialLimitMs);
  }

  get unanswered(): ReadonlyMap<LeaseId, { readonly askedMs: number }> {
    return this.#unanswered;
  }

  renew(id: LeaseId): void {
    if (this.#unanswered.has(id)) return;
    const mark = this.#owner.mark();
    this.#unanswered.set(id, { askedMs: mark.monotonicMs, sent: this.#stream ? mark : undefined });
    this.#stream?.renew(id);
  }

  forget(id: LeaseId): void {
    this.#unanswered.delete(id);
  }

  close(): void {
    this.#closing.abort();
    this.#stream?.close();
  }

  async #open(protocol: Protocol, dialLimitMs: number): Promise<void> {
    const { signal } = this.#closing;
    try {
      this.#stream = await protocol.openKeepAlive(
        this.endpoint,
        dialLimitMs,
        { onMessage: (response) => this.#answered(response), onEnd: (error) => this.#owner.ended(this, error) },
        signal,
      );
    } catch (error) {
      if (!signal.aborted) this.#owner.ended(this, error as EtcdError);
      return;
    }
    for (const [id, waiting] of this.#unanswered) {
      waiting.sent = this.#owner.mark();
      this.#stream.renew(id);
    }
  }

  #answered(response: LeaseKeepAliveResponse): void {
    const sent = this.#unanswered.get(response.id)?.sent;
    if (!sent) return;
    this.#unanswered.delete(response.id);
    this.#owner.answered(this, response, sent);
  }
}
