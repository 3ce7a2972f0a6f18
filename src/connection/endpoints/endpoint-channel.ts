import { UnavailableError } from "../../errors/unavailable-error.ts";
import { ConnectionError, connect, type GrpcConnection, type TlsOptions } from "../../grpc/index.ts";
import { within } from "../../internal/abort.ts";
import { channels } from "../../internal/channels.ts";
import type { Clock } from "../../internal/clock.ts";
import { TlsError } from "../tls/tls-error.ts";
import type { EndpointUrl } from "./endpoint-url.ts";
import { speaksOtherScheme } from "./other-scheme.ts";
import { whyNotConnected } from "./why-not-connected.ts";

/**
 * When the server counts as silent, and a connection as broken. A call that is unanswered moves on by its own limit. A
 * stream hears something every second: renewals are answered, and a watch asks for progress. Where nothing was read for
 * a while, a ping shows, which etcd allows once in 5 s (HARDSHIPS 12: server/embed, GRPCKeepAliveMinTime). So a frozen
 * member is found within 4 s. Go's clientv3 does not look at all unless DialKeepAliveTime is set; etcdctl takes 2 s and
 * 6 s.
 */
const liveness = { unansweredMs: 1_000, quietMs: 1_500, answerMs: 2_000, pingIntervalMs: 5_500 };

export interface EndpointChannelParts {
  readonly url: EndpointUrl;
  /** What secures it; undefined for a plain one. */
  readonly tls: TlsOptions | undefined;
  /** Of the addresses of its name it dials this one first, then the others in turn. */
  readonly turn: number;
  readonly dialTimeoutMs: number;
  readonly clock: Clock;
  /** Whether there ever was a connection to this endpoint. */
  wasConnected(): boolean;
  /** It is up. */
  opened(): void;
  /** It was up, and is over. */
  ended(reason: ConnectionError): void;
}

/**
 * One connection to one endpoint. It is dialled when it is made, and never anew: the next one resolves the name again,
 * and reads the certificates again.
 *
 *   dialling ──▶ open ──▶ over: draining, broken, or closed by us
 *      └──── no connection ──▲
 */
export class EndpointChannel {
  /**
   * The calls that the server at the other end does not know, by their paths: another server may, on another
   * connection.
   */
  readonly unknownCalls = new Set<string>();
  readonly #parts: EndpointChannelParts;
  readonly #dial = new AbortController();
  readonly #connected: Promise<void>;
  #grpc: GrpcConnection | undefined;
  #sinceMs = Number.NEGATIVE_INFINITY;
  #heardMs = Number.NEGATIVE_INFINITY;
  #over = false;
  #wasUp = false;

  constructor(parts: EndpointChannelParts) {
    this.#parts = parts;
    this.#connected = this.#connect();
    // Callers may all have given up by then.
    this.#connected.catch(() => {});
  }

  /** No call can begin on it any more. */
  get closed(): boolean {
    return this.#over || (this.#grpc !== undefined && this.#grpc.status !== "open");
  }

  /** Whether a call would leave at once. */
  get isOpen(): boolean {
    return !this.#over && this.#grpc?.status === "open";
  }

  /** Since when it is connected (monotonic). */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** For how long nothing has come from the server, as far as calls know, also while the machine was suspended. */
  get quietMs(): number {
    return this.#parts.clock.elapsedMs() - this.#heardMs;
  }

  /** The server has answered. */
  heard(): void {
    this.#heardMs = this.#parts.clock.elapsedMs();
  }

  /** What calls and streams are made on, once it is open. */
  get grpc(): GrpcConnection {
    if (!this.#grpc) throw this.#unavailable("there is no connection");
    return this.#grpc;
  }

  /**
   * Resolves once connected. Callers at the same time share the dial, and wait for it as long as each of them can: one
   * with little time takes the dial from no other.
   *
   * @throws UnavailableError when the dial fails, or is not done within `waitMs`
   */
  connect(waitMs: number): Promise<void> {
    return within(this.#parts.clock, this.#connected, waitMs, () => this.#unavailable("no connection yet"));
  }

  /** Ends a dial. Calls under way may still finish. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#dial.abort();
    this.#grpc?.close();
  }

  /** Ends it now: calls and streams on it fail as they do when a server goes away. */
  destroy(): void {
    this.close();
    this.#grpc?.destroy();
  }

  async #connect(): Promise<void> {
    const { clock, dialTimeoutMs, tls, turn, url } = this.#parts;
    const { dials } = channels;
    const trace = dials.heard ? dials.begin({ endpoint: url.url, secure: tls !== undefined }) : undefined;
    try {
      const grpc = await connect(url.target, {
        tls,
        clock,
        addressTurn: turn,
        userAgent: "etcd-recipes",
        liveness,
        connectTimeoutMs: dialTimeoutMs,
        settingsTimeoutMs: dialTimeoutMs,
        signal: this.#dial.signal,
        onEnd: (reason) => this.#ended(reason),
      });
      this.#grpc = grpc;
      // What came with its settings, in one read, has ended it already: a server that is about to leave does that.
      if (grpc.reason && !this.#over) throw grpc.reason;
    } catch (error) {
      const why = this.#over ? this.#unavailable("the connection was closed") : await this.#whyNot(error);
      this.#over = true;
      trace?.fail(why);
      throw why;
    }
    trace?.succeed();
    this.#sinceMs = clock.monotonicMs();
    this.heard();
    // It may have been given up in the moment in which it came up.
    if (this.#over) {
      this.#grpc?.close();
      return;
    }
    this.#wasUp = true;
    this.#parts.opened();
  }

  #ended(reason: ConnectionError): void {
    if (this.#wasUp) this.#parts.ended(reason);
  }

  async #whyNot(cause: unknown): Promise<UnavailableError> {
    const { url, wasConnected } = this.#parts;
    if (!(cause instanceof ConnectionError)) throw cause;
    const error = whyNotConnected(url, cause);
    const canBeOtherScheme = cause.reason === "tls" || cause.reason === "not-http2" || cause.reason === "reset";
    if (error instanceof TlsError || !canBeOtherScheme || wasConnected()) return error;
    if (!(await speaksOtherScheme(url, this.#dial.signal))) return error;
    return new TlsError(
      url.secure
        ? `${url.url}: it speaks no TLS: write it as http://`
        : `${url.url}: it speaks TLS: write it as https://`,
    );
  }

  #unavailable(problem: string): UnavailableError {
    return new UnavailableError(`${this.#parts.url.url}: ${problem}`, { retryable: true });
  }
}
