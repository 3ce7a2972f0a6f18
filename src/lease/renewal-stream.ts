import type { KeepAliveStream, LeaseKeepAliveResponse, Protocol, StreamEndpoint } from "../connection/index.ts";
import type { EtcdError } from "../errors/etcd-error.ts";
import type { LeaseId } from "../model/lease-id.ts";

/**
 * So many renewals are on their way at once. An answer counts from when its renewal was sent, so what waits for its
 * turn waits here, where that costs nothing, and not in the server.
 */
const MOST_IN_FLIGHT = 512;
/** When so few are left, what waits follows: many in one write, instead of one or two with each answer. */
const FEW_IN_FLIGHT = MOST_IN_FLIGHT / 2;

export interface RenewalStreamOwner {
  /** The time, by `elapsedMs()`. */
  nowMs(): number;
  /** The first answer since renewals were sent last. */
  worked(stream: RenewalStream): void;
  answered(stream: RenewalStream, response: LeaseKeepAliveResponse, sentMs: number): void;
  ended(stream: RenewalStream, error: EtcdError): void;
}

/**
 * One keep-alive stream on one endpoint, usable before it is open: renewals wait in it until it is, and leave in the
 * order in which they were asked for. At most one renewal per lease is unanswered on it; an answer counts from when
 * that renewal was sent here.
 */
export class RenewalStream {
  readonly endpoint: StreamEndpoint;
  readonly #owner: RenewalStreamOwner;
  /** When each unanswered renewal was asked for, and when it left. */
  readonly #unanswered = new Map<LeaseId, { askedMs: number; sentMs: number | undefined }>();
  /** Those of them that have not left yet. */
  readonly #waiting = new Set<LeaseId>();
  readonly #closing = new AbortController();
  #stream: KeepAliveStream | undefined;
  #heardMs = Number.NEGATIVE_INFINITY;
  /** Nothing came since renewals were sent last. */
  #silent = false;

  constructor(protocol: Protocol, endpoint: StreamEndpoint, dialLimitMs: number, owner: RenewalStreamOwner) {
    this.endpoint = endpoint;
    this.#owner = owner;
    void this.#open(protocol, dialLimitMs);
  }

  get isOpen(): boolean {
    return this.#stream !== undefined;
  }

  get unanswered(): ReadonlyMap<LeaseId, { readonly askedMs: number }> {
    return this.#unanswered;
  }

  /** When the last answer came. The server answers in order: as long as it does, the others are only waiting. */
  get heardMs(): number {
    return this.#heardMs;
  }

  /** Those that are unanswered already are not asked for again. */
  renew(ids: readonly LeaseId[]): void {
    const askedMs = this.#owner.nowMs();
    for (const id of ids) {
      if (this.#unanswered.has(id)) continue;
      this.#unanswered.set(id, { askedMs, sentMs: undefined });
      this.#waiting.add(id);
    }
    this.#sendWaiting();
  }

  forget(id: LeaseId): void {
    this.#unanswered.delete(id);
    this.#waiting.delete(id);
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
    // It may have been given up just when it came up.
    if (signal.aborted) this.#stream.close();
    this.#sendWaiting();
  }

  #sendWaiting(): void {
    if (!this.#stream || this.#waiting.size === 0) return;
    // One moment for all of them, before the first leaves: a deadline never counts from later than its renewal.
    const sentMs = this.#owner.nowMs();
    for (const id of this.#waiting) {
      const renewal = this.#unanswered.get(id);
      if (!renewal || this.#inFlight >= MOST_IN_FLIGHT) return;
      this.#waiting.delete(id);
      renewal.sentMs = sentMs;
      this.#silent = true;
      this.#stream.renew(id);
    }
  }

  #answered(response: LeaseKeepAliveResponse): void {
    this.#heardMs = this.#owner.nowMs();
    if (this.#silent) {
      this.#silent = false;
      this.#owner.worked(this);
    }
    const sentMs = this.#unanswered.get(response.id)?.sentMs;
    if (sentMs !== undefined) {
      this.#unanswered.delete(response.id);
      this.#owner.answered(this, response, sentMs);
    }
    if (this.#inFlight <= FEW_IN_FLIGHT) this.#sendWaiting();
  }

  get #inFlight(): number {
    return this.#unanswered.size - this.#waiting.size;
  }
}
