import type { SecureContext } from "node:tls";
import { type TlsOptions, TlsSession } from "../../grpc/index.ts";
import { Backoff } from "../../internal/backoff.ts";
import { log } from "../../internal/log.ts";
import type { Runtime } from "../../internal/runtime.ts";
import type { TlsCredentials } from "../tls/tls-credentials.ts";
import type { ConnectionNotices } from "./connection-notices.ts";
import type { Endpoint, Lane } from "./endpoint.ts";
import { EndpointChannel } from "./endpoint-channel.ts";
import type { EndpointUrl } from "./endpoint-url.ts";
import { MemberDoubt } from "./member-doubt.ts";

const debug = log("connection");

const lanes: readonly Lane[] = ["calls", "streams"];

/** A dial gets this many times its time-out at most, after it ran out of it again and again. */
const MOST_PATIENCE = 8;

export interface EndpointParts {
  readonly url: EndpointUrl;
  /** Undefined: its connections are not secured. */
  readonly tls: TlsCredentials | undefined;
  readonly dialTimeoutMs: number;
  readonly runtime: Runtime;
  readonly notices?: ConnectionNotices | undefined;
}

/**
 * One endpoint as this client sees it: a channel for each lane, and how it has behaved lately. It need not be one etcd
 * server: behind a name or a balancer there may be several, and each connection leads to one of them.
 */
export class DialledEndpoint implements Endpoint {
  readonly url: string;
  readonly #runtime: Runtime;
  readonly #parts: EndpointParts;
  readonly #backoff: Backoff;
  readonly #pace: Backoff;
  readonly #channels = new Map<Lane, EndpointChannel>();
  /** All of that lane that are up: on one that was dropped, or that its server leaves, streams go on. */
  readonly #streaming = new Set<EndpointChannel>();
  readonly #doubts: Record<Lane, MemberDoubt>;
  readonly #workedMs: Record<Lane, number> = { calls: 0, streams: 0 };
  /** Of the addresses of a name the next dial begins with another one. */
  #turn = 0;
  #avoidUntilMs = 0;
  #unreachable: { readonly error: unknown; readonly untilMs: number } | undefined;
  /**
   * Doubles with each dial that fails: one that is begun anew too early, again and again, never comes up under load.
   */
  #patience = 1;
  #closed = false;
  #wasConnected = false;
  /** How many connections are up. */
  #connections = 0;
  /** The TLS session of this endpoint's last connection, and of which certificates it is. */
  #session: { readonly of: SecureContext; readonly session: TlsSession } | undefined;

  constructor(parts: EndpointParts) {
    const { runtime, url } = parts;
    this.url = url.url;
    this.#parts = parts;
    this.#runtime = runtime;
    this.#backoff = new Backoff(runtime, { initialMs: 250, maxMs: 5_000 });
    this.#pace = new Backoff(runtime, { maxMs: 1_000 });
    this.#doubts = { calls: new MemberDoubt(runtime), streams: new MemberDoubt(runtime) };
  }

  get avoidUntilMs(): number {
    return this.#avoidUntilMs;
  }

  /**
   * A channel that is connected. One that failed to is not used again, so the next attempt resolves the name anew and
   * waits in no backoff but ours. For a moment after that, calls fail as it did: a crowd of them, each with
   * retries of its own, would dial in a loop (HARDSHIPS 13). Streams are few and have their own backoff.
   *
   * @throws UnavailableError when there is no connection within `waitMs`
   */
  async connect(lane: Lane, waitMs: number): Promise<EndpointChannel> {
    const { clock } = this.#runtime;
    if (lane === "calls" && this.#unreachable && clock.monotonicMs() < this.#unreachable.untilMs) {
      throw this.#unreachable.error;
    }
    const channel = this.#usable(lane);
    if (channel.isOpen) return channel;
    try {
      await channel.connect(waitMs);
      this.#wasConnected = true;
      return channel;
    } catch (error) {
      // The first of those who waited for the dial takes note of its failure.
      if (channel.closed && this.#channels.get(lane) === channel) {
        this.#channels.delete(lane);
        this.#turn++;
        this.#patience = Math.min(MOST_PATIENCE, this.#patience * 2);
        this.#pause(lane, error);
      }
      throw error;
    }
  }

  open(lane: Lane): EndpointChannel | undefined {
    const channel = this.#channels.get(lane);
    return channel?.isOpen && this.#unreachable === undefined ? channel : undefined;
  }

  /**
   * The lane's channel, or a new one. The files of the certificates are read for each.
   *
   * @throws TlsError when those cannot be used
   */
  #usable(lane: Lane): EndpointChannel {
    const known = this.#channels.get(lane);
    if (known && !known.closed) return known;
    // It may have failed while no call waited for it.
    if (known) this.#turn++;
    const channel = this.#dial(lane, this.#tlsOrPause(lane));
    this.#channels.set(lane, channel);
    if (this.#closed) channel.close();
    return channel;
  }

  #dial(lane: Lane, tls: TlsOptions | undefined): EndpointChannel {
    const { dialTimeoutMs, url } = this.#parts;
    const channel: EndpointChannel = new EndpointChannel({
      url,
      tls,
      turn: this.#turn,
      dialTimeoutMs: dialTimeoutMs * this.#patience,
      clock: this.#runtime.clock,
      wasConnected: () => this.#wasConnected,
      opened: () => {
        if (lane === "streams") this.#streaming.add(channel);
        if (this.#connections++ === 0) this.#parts.notices?.connected(this.url);
      },
      ended: (reason) => {
        this.#streaming.delete(channel);
        if (--this.#connections === 0) this.#parts.notices?.disconnected(this.url, reason);
      },
    });
    return channel;
  }

  #tlsOrPause(lane: Lane): TlsOptions | undefined {
    const { tls } = this.#parts;
    try {
      return tls && this.#tlsOptions(tls);
    } catch (error) {
      this.#pause(lane, error);
      throw error;
    }
  }

  /** A resumed session has the identity of the one before it, so replaced certificates begin another. */
  #tlsOptions(tls: TlsCredentials): TlsOptions {
    const secureContext = tls.current();
    if (this.#session?.of !== secureContext) this.#session = { of: secureContext, session: new TlsSession() };
    return { secureContext, servername: tls.serverName, session: this.#session.session };
  }

  /** For a moment calls fail as this one did. */
  #pause(lane: Lane, error: unknown): void {
    if (lane !== "calls") return;
    this.#unreachable = { error, untilMs: this.#runtime.clock.monotonicMs() + this.#pace.nextMs() };
  }

  drop(lane: Lane, channel = this.#channels.get(lane)): void {
    if (!channel) return;
    if (this.#channels.get(lane) === channel) {
      this.#channels.delete(lane);
      this.#turn++;
    }
    channel.close();
  }

  memberFailed(lane: Lane, channel: EndpointChannel): void {
    if (this.#channels.get(lane) !== channel) return;
    const sinceMs = this.#doubts[lane].failed();
    if (sinceMs === undefined) return;
    debug("leaving the member behind %s: it does not serve", this.url);
    for (const each of lanes) if (each === lane || this.#workedMs[each] < sinceMs) this.drop(each);
  }

  failed(): void {
    const now = this.#runtime.clock.monotonicMs();
    if (now < this.#avoidUntilMs) return;
    this.#avoidUntilMs = now + 250 + this.#backoff.nextMs();
  }

  succeeded(lane: Lane): void {
    this.#workedMs[lane] = this.#runtime.clock.monotonicMs();
    this.#doubts[lane].worked();
    this.#avoidUntilMs = 0;
    this.#unreachable = undefined;
    this.#patience = 1;
    this.#backoff.succeeded();
    this.#pace.succeeded();
  }

  retire(): void {
    for (const channel of [...this.#streaming]) channel.destroy();
    this.close();
  }

  close(): void {
    this.#closed = true;
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }
}
