import type { Socket } from "node:net";
import type { PeerCertificate, TLSSocket } from "node:tls";
import { type Clock, systemClock, type Timer } from "../internal/clock.ts";
import { inMs } from "../internal/in-ms.ts";
import { ClientConnection } from "./client-connection.ts";
import type { ConnectOptions, Target } from "./connect-options.ts";
import { ConnectionError } from "./connection-error.ts";
import { hungUpError } from "./end-reasons.ts";
import { ExchangeTable } from "./exchange-table.ts";
import { explainSocketError, type Phase } from "./explain-socket-error.ts";
import type { GrpcConnection } from "./grpc-connection.ts";
import { Greeting } from "./http2/greeting.ts";
import { DEFAULT_WINDOW_BYTES } from "./http2/protocol.ts";
import { openSocket } from "./open-socket.ts";

const CONNECT_TIMEOUT_MS = 5_000;
const SETTINGS_TIMEOUT_MS = 5_000;
/** What a window must have room for: a page of a list, and another one on its way, with 100 ms of latency. */
const STREAM_WINDOW_BYTES = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;
/** As Go's clientv3 allows: math.MaxInt32. */
const MAX_MESSAGE_BYTES = 2 ** 31 - 1;
const liveness = { unansweredMs: 1_000, quietMs: 6_000, answerMs: 2_000, pingIntervalMs: 5_500 };

/**
 * Brings one connection up.
 *
 * ```
 *   connecting ──socket──▶ (securing ──handshake, h2──▶) greeting ──SETTINGS──▶ up
 *        └──────────────────────┴── error, time-out, signal ──┴──────────────▶ failed
 * ```
 */
export class Dial {
  readonly #options: ConnectOptions;
  readonly #authority: string;
  readonly #resolve: (connection: GrpcConnection) => void;
  readonly #reject: (error: ConnectionError) => void;
  readonly #clock: Clock;
  readonly #socket: Socket;
  readonly #greeting = new Greeting();
  #phase: Phase = "connecting";
  #settled = false;
  #greeted = false;
  #connection: ClientConnection | undefined;
  #timer: Timer | undefined;

  constructor(
    target: Target,
    options: ConnectOptions,
    authority: string,
    resolve: (connection: GrpcConnection) => void,
    reject: (error: ConnectionError) => void,
  ) {
    this.#options = options;
    this.#authority = authority;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#clock = options.clock ?? systemClock;
    const { tls, signal, addressTurn = 0, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
    const ticket = tls?.session?.ticketAt(this.#clock.wallMs());
    const socket = openSocket(target, tls, ticket, addressTurn, (bytes, length) => this.#read(bytes, length));
    this.#socket = socket;
    this.#timer = this.#clock.timer(connectTimeoutMs, () => {
      const what = this.#phase === "connecting" ? "no connection" : "no TLS handshake";
      this.#fail(new ConnectionError("timeout", `${what} within ${inMs(connectTimeoutMs)}`));
    });
    signal?.addEventListener("abort", this.#onAbort);
    socket.on("error", (error) => this.#lost(explainSocketError(error, this.#phase, tls !== undefined)));
    socket.on("close", () => this.#lost(this.#hungUp()));
    socket.on("drain", () => this.#connection?.socketDrained());
    socket.on("connect", () => (tls === undefined ? this.#greet() : this.#enter("securing")));
    socket.on("secureConnect", () => this.#secured(socket as TLSSocket));
    socket.on("session", (issued: Buffer) => this.#keepSession(issued));
    if (signal?.aborted) this.#onAbort();
  }

  #keepSession(ticket: Buffer): void {
    // The types leave out that a resumed connection can have none, and that a socket which has ended has null.
    const certificate = (this.#socket as TLSSocket).getPeerCertificate() as Partial<PeerCertificate> | null;
    this.#options.tls?.session?.keep(ticket, certificate?.valid_to);
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
  }

  #secured({ alpnProtocol }: TLSSocket): void {
    if (alpnProtocol === "h2") {
      this.#greet();
      return;
    }
    this.#fail(
      new ConnectionError("not-http2", "the server has no HTTP/2: it did not choose h2 in the TLS handshake (ALPN)"),
    );
  }

  #greet(): void {
    if (this.#settled) return;
    this.#enter("greeting");
    this.#timer?.cancel();
    const { settingsTimeoutMs = SETTINGS_TIMEOUT_MS } = this.#options;
    this.#timer = this.#clock.timer(settingsTimeoutMs, () =>
      this.#fail(new ConnectionError("silent", `the server sent no SETTINGS within ${inMs(settingsTimeoutMs)}`)),
    );
    const { tls, userAgent = "grpc-node-net", streamWindowBytes = STREAM_WINDOW_BYTES } = this.#options;
    const { connectionWindowBytes = CONNECTION_WINDOW_BYTES, maxMessageBytes = MAX_MESSAGE_BYTES } = this.#options;
    this.#connection = new ClientConnection({
      socket: this.#socket,
      scheme: tls === undefined ? "http" : "https",
      authority: this.#authority,
      userAgent,
      streamWindowBytes,
      connectionWindowBytes: Math.max(connectionWindowBytes, DEFAULT_WINDOW_BYTES),
      maxMessageBytes,
      liveness: { ...liveness, ...this.#options.liveness },
      clock: this.#clock,
      table: new ExchangeTable(),
      onSettled: () => this.#up(),
      onDraining: (reason) => this.#draining(reason),
      onEnd: (reason) => this.#ended(reason),
    });
    this.#connection.greet();
  }

  #read(bytes: Buffer, length: number): void {
    if (this.#greeted) {
      this.#connection?.read(bytes, length);
      return;
    }
    const first = this.#greeting.take(bytes.subarray(0, length));
    if (first === undefined) return;
    this.#greeted = true;
    const problem = this.#greeting.problem();
    if (problem === undefined) this.#connection?.read(first, first.length);
    else this.#fail(new ConnectionError("not-http2", problem));
  }

  #up(): void {
    if (this.#settled) return;
    this.#settle();
    this.#enter("up");
    this.#socket.unref();
    if (this.#connection) this.#resolve(this.#connection);
  }

  #draining(reason: ConnectionError): void {
    if (this.#phase === "up") this.#options.onDraining?.(reason);
  }

  #ended(reason: ConnectionError): void {
    if (this.#phase === "up") this.#options.onEnd?.(reason);
    else this.#fail(reason);
  }

  #hungUp(): ConnectionError {
    const problem = this.#greeted ? undefined : this.#greeting.problem();
    if (problem !== undefined) return new ConnectionError("not-http2", problem);
    if (this.#phase !== "greeting") return hungUpError();
    const question = this.#options.tls === undefined ? ": does it speak TLS?" : "";
    return new ConnectionError("reset", `the server closed the connection before it sent SETTINGS${question}`);
  }

  #lost(error: ConnectionError): void {
    if (this.#phase === "up") this.#connection?.socketLost(error);
    else this.#fail(error);
  }

  #fail(error: ConnectionError): void {
    if (this.#settled) return;
    this.#settle();
    // It may be the ticket that the server does not like.
    this.#options.tls?.session?.forget();
    this.#socket.destroy();
    this.#connection?.destroy(error);
    this.#reject(error);
  }

  #settle(): void {
    this.#settled = true;
    this.#timer?.cancel();
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = () => {
    const { reason: cause } = this.#options.signal as AbortSignal;
    this.#fail(new ConnectionError("closed", "the dial was given up", { cause }));
  };
}
