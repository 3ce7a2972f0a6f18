import {
  Channel,
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  connectivityState,
  credentials as grpcCredentials,
  Metadata,
  type StatusObject,
  status,
} from "@grpc/grpc-js";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { within } from "../internal/abort.ts";
import type { Clock } from "../internal/clock.ts";
import { quietDeferred } from "../internal/deferred.ts";
import { clearTimeout, setTimeout } from "../internal/real-time.ts";
import { dialTarget } from "./dial-resolver.ts";
import type { EndpointUrl } from "./endpoint-url.ts";
import { speaksOtherScheme } from "./other-scheme.ts";
import { TlsError } from "./tls-error.ts";
import { whyNotConnected } from "./why-not-connected.ts";

/**
 * Pings find half-open connections. etcd ends connections that ping more often than every 5 s, or without a call under
 * way (HARDSHIPS 12: server/embed, GRPCKeepAliveMinTime), so the interval stays above and idle connections are silent.
 */
const channelOptions: ChannelOptions = {
  "grpc.keepalive_time_ms": 6_000,
  "grpc.keepalive_timeout_ms": 3_000,
  "grpc.keepalive_permit_without_calls": 0,
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  // HTTP/2's own 64 KiB in each round trip would let a page of a list take longer than an attempt may, over a long way.
  "grpc-node.flow_control_window": 4 * 1024 * 1024,
  // A channel owns its connection: closing the channel closes the socket, and two channels to one endpoint are two sockets.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
};

/** How long the reason of a failed dial is waited for. */
const WHY_LIMIT_MS = 100;

export interface EndpointChannelParts {
  readonly url: EndpointUrl;
  readonly credentials: ChannelCredentials;
  /** The name that the server's certificate must have, instead of its host. */
  readonly serverName: string | undefined;
  /** Of the addresses of its name it dials this one first, then the others in turn. */
  readonly turn: number;
  readonly dialTimeoutMs: number;
  readonly clock: Clock;
  /** Whether there ever was a connection to this endpoint. */
  wasConnected(): boolean;
}

/** One connection to one endpoint, with a connect time-out of our own: grpc-js waits for ever on a server that accepts and stays silent. */
export class EndpointChannel {
  /** Makes calls and streams on it. */
  readonly client: Client;
  readonly #grpc: Channel;
  readonly #parts: EndpointChannelParts;
  #dial: { readonly connected: Promise<void>; readonly sockets: AbortController } | undefined;
  #connection = { sinceMs: Number.NEGATIVE_INFINITY };
  #heardMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(parts: EndpointChannelParts) {
    this.#parts = parts;
    const { target, options } = dialTarget(parts.url.target, parts.turn, () => this.#socketSignal());
    const { credentials, serverName } = parts;
    const names = serverName === undefined ? {} : { "grpc.ssl_target_name_override": serverName };
    this.#grpc = new Channel(target, credentials, { ...channelOptions, ...options, ...names });
    // The credentials that count are the channel's.
    this.client = new Client("", grpcCredentials.createInsecure(), { channelOverride: this.#grpc });
  }

  /** Closed by us, or because it could not connect: it is of no use any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** What its next connection would be secured with. */
  get credentials(): ChannelCredentials {
    return this.#parts.credentials;
  }

  /** The connection that was made last, by its identity, and since when it is there (monotonic). */
  get connection(): { readonly sinceMs: number } {
    return this.#connection;
  }

  /** For how long nothing has come from the server, as far as calls know, also while the machine was suspended. */
  get quietMs(): number {
    return this.#parts.clock.elapsedMs() - this.#heardMs;
  }

  /** The server has answered. */
  heard(): void {
    this.#heardMs = this.#parts.clock.elapsedMs();
  }

  /** Neither connected nor about to be. */
  get isIdle(): boolean {
    return !this.#dial && this.#grpc.getConnectivityState(false) !== connectivityState.READY;
  }

  /**
   * Resolves once connected. Callers at the same time share one dial, which has `dialTimeoutMs`, and wait for it as long
   * as each of them can: one with little time takes the dial from nobody.
   *
   * @throws UnavailableError when the dial fails, which closes the channel, or is not done within `waitMs`
   */
  connect(waitMs: number): Promise<void> {
    if (this.#isReady()) return Promise.resolve();
    const { connected } = this.#dial ?? this.#startDial();
    return within(this.#parts.clock, connected, waitMs, () => this.#unavailable("no connection yet"));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // Ends a dial, too, for that watches the state. Calls under way on a connection that was made may still finish.
    this.#grpc.close();
  }

  /** Whether a call would leave at once. Starts to connect if it would not. */
  #isReady(): boolean {
    return !this.#closed && this.#grpc.getConnectivityState(true) === connectivityState.READY;
  }

  #startDial(): { connected: Promise<void> } {
    const { clock, dialTimeoutMs } = this.#parts;
    const outcome = quietDeferred<void>();
    const timer = clock.timer(dialTimeoutMs, () => end(this.#unavailable(`no connection within ${dialTimeoutMs} ms`)));
    const dial = { connected: outcome.promise, sockets: new AbortController() };
    this.#dial = dial;
    const end = (error?: UnavailableError) => {
      if (this.#dial !== dial) return;
      this.#dial = undefined;
      timer.cancel();
      if (!error) {
        this.#connection = { sinceMs: clock.monotonicMs() };
        this.heard();
        return outcome.resolve();
      }
      dial.sockets.abort();
      this.close();
      outcome.reject(error);
    };
    const look = () => {
      if (this.#dial !== dial) return;
      if (this.#closed) return end(this.#unavailable("the connection was closed"));
      const state = this.#grpc.getConnectivityState(true);
      if (state === connectivityState.READY) return end();
      if (state === connectivityState.TRANSIENT_FAILURE) {
        void this.#whyNot(dial.sockets.signal).then(end);
        return;
      }
      this.#grpc.watchConnectivityState(state, Number.POSITIVE_INFINITY, look);
    };
    look();
    return dial;
  }

  async #whyNot(signal: AbortSignal): Promise<UnavailableError> {
    const { url, wasConnected } = this.#parts;
    const error = whyNotConnected(url, await this.#askWhy());
    if (error instanceof TlsError || wasConnected() || !(await speaksOtherScheme(url, signal))) return error;
    return new TlsError(
      url.secure
        ? `${url.url}: it speaks no TLS: write it as http://`
        : `${url.url}: it speaks TLS: write it as https://`,
    );
  }

  #socketSignal(): AbortSignal | undefined {
    if (this.#closed) throw this.#unavailable("the connection was closed");
    return this.#dial?.sockets.signal;
  }

  /** grpc-js tells nobody but calls why there is no connection; one that finds none ends at once. */
  #askWhy(): Promise<StatusObject> {
    return new Promise((resolve) => {
      // biome-ignore lint/style/noRestrictedGlobals: grpc-js compares it with the same clock, faked or not.
      const call = this.#grpc.createCall("/", Date.now() + WHY_LIMIT_MS, null, null, null);
      // grpc-js waits for its deadline with timers that a test may have replaced by fake ones.
      const limit = setTimeout(
        () => call.cancelWithStatus(status.DEADLINE_EXCEEDED, "Deadline exceeded"),
        WHY_LIMIT_MS,
      );
      const onReceiveStatus = (why: StatusObject) => {
        clearTimeout(limit);
        resolve(why);
      };
      call.start(new Metadata(), { onReceiveMetadata() {}, onReceiveMessage() {}, onReceiveStatus });
    });
  }

  #unavailable(problem: string): UnavailableError {
    return new UnavailableError(`${this.#parts.url.url}: ${problem}`, { retryable: true });
  }
}
