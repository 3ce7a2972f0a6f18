import { Channel, type ChannelCredentials, type ChannelOptions, connectivityState } from "@grpc/grpc-js";
import { UnavailableError } from "../errors/unavailable-error.ts";
import type { Clock } from "../internal/clock.ts";
import { deferred } from "../internal/deferred.ts";
import type { EndpointUrl } from "./endpoint-url.ts";

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
  // A channel owns its connection: closing the channel closes the socket, and two channels to one endpoint are two sockets.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
};

/** One connection to one endpoint, with a connect time-out of our own: grpc-js waits for ever on a server that accepts and stays silent. */
export class EndpointChannel {
  readonly grpc: Channel;
  readonly #url: EndpointUrl;
  readonly #clock: Clock;
  #connecting: Promise<void> | undefined;
  #closed = false;

  constructor(url: EndpointUrl, credentials: ChannelCredentials, clock: Clock) {
    this.#url = url;
    this.#clock = clock;
    this.grpc = new Channel(url.target, credentials, channelOptions);
  }

  /** Whether a call would leave at once. Starts to connect if it would not. */
  isReady(): boolean {
    return !this.#closed && this.grpc.getConnectivityState(true) === connectivityState.READY;
  }

  /**
   * Resolves once connected. Callers at the same time share one attempt.
   *
   * @throws UnavailableError when the connection is refused or is not there within `limitMs`; the channel is of no use then
   */
  connect(limitMs: number): Promise<void> {
    if (this.isReady()) return Promise.resolve();
    this.#connecting ??= this.#dial(limitMs).finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.grpc.close();
  }

  async #dial(limitMs: number): Promise<void> {
    const outcome = deferred<void>();
    const fail = (problem: string) =>
      outcome.reject(new UnavailableError(`${this.#url.url}: ${problem}`, { retryable: true }));
    const timer = this.#clock.timer(limitMs, () => fail(`no connection within ${limitMs} ms`));
    let settled = false;
    const look = () => {
      if (settled) return;
      if (this.#closed) return fail("the connection was closed");
      const state = this.grpc.getConnectivityState(true);
      if (state === connectivityState.READY) return outcome.resolve();
      if (state === connectivityState.TRANSIENT_FAILURE) return fail("the connection was refused or failed");
      if (state === connectivityState.SHUTDOWN) return fail("the connection was closed");
      this.grpc.watchConnectivityState(state, Number.POSITIVE_INFINITY, look);
    };
    look();
    try {
      await outcome.promise;
    } finally {
      settled = true;
      timer.cancel();
    }
  }
}
