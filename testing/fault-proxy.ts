import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { releasePorts, takePort } from "./free-ports.ts";
import { type ConnectionFaults, type FaultDirection, ProxiedConnection } from "./proxied-connection.ts";

/** Where a {@link FaultProxy} leads: a URL such as "http://127.0.0.1:2379", or host and port. */
export type FaultProxyTarget = string | { readonly host: string; readonly port: number };

interface Target {
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
}

const flowing = { held: false, delayMs: 0 };
const noFaults: ConnectionFaults = { toServer: flowing, toClient: flowing };

/**
 * A TCP proxy on 127.0.0.1 in front of one server, to break the link to it. Faults reach the connections that are open
 * and, but for `cut` and `halfClose`, those that come, until `heal()`.
 *
 * A target that refuses connections shows as a connection that is accepted and then reset. The proxy does not keep the
 * process from ending.
 */
export class FaultProxy {
  /** Where clients connect instead of to the target; the same for the life of the proxy. */
  readonly endpoint: string;
  readonly port: number;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #connections = new Set<ProxiedConnection>();
  #faults = noFaults;
  #listener: Server | undefined;
  #accepted = 0;
  #closing: Promise<void> | undefined;

  private constructor({ protocol, host, port: targetPort }: Target, port: number) {
    this.#target = { host, port: targetPort };
    this.port = port;
    this.endpoint = `${protocol}//127.0.0.1:${port}`;
  }

  /**
   * Starts a proxy and resolves when it listens.
   *
   * @throws TypeError when the target is no URL or names no host or no port
   */
  static async start(target: FaultProxyTarget): Promise<FaultProxy> {
    const proxy = new FaultProxy(readTarget(target), await takePort());
    await proxy.up();
    return proxy;
  }

  /** How many connections are open, as the proxy sees it. */
  get connections(): number {
    return this.#connections.size;
  }

  /** How many connections were accepted since the start. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Breaks every open connection by a TCP reset, at both ends. New ones are accepted and go through. */
  cut(): void {
    for (const connection of this.#connections) connection.cut();
  }

  /**
   * Lets nothing through any more, without a word: connections stay open and new ones are accepted, as with a frozen
   * server or a link that drops packets. What was sent goes through after `heal()`, as TCP does after a short outage.
   *
   * @param direction only one way; by default both
   */
  blackHole(direction?: FaultDirection): void {
    const { toServer, toClient } = this.#faults;
    this.#change({
      toServer: { ...toServer, held: toServer.held || direction !== "toClient" },
      toClient: { ...toClient, held: toClient.held || direction !== "toServer" },
    });
  }

  /** Delays all bytes by `delayMs` in each direction, in order: a round trip takes twice as long. 0 ends it. */
  delay(delayMs: number): void {
    const { toServer, toClient } = this.#faults;
    this.#change({ toServer: { ...toServer, delayMs }, toClient: { ...toClient, delayMs } });
  }

  /**
   * Ends one direction of every open connection by a FIN, for good: the receiver sees the end of the stream while its
   * own bytes still go through. What the sender sends after that is thrown away.
   */
  halfClose(direction: FaultDirection): void {
    for (const connection of this.#connections) connection.halfClose(direction);
  }

  /** Stops listening and cuts every connection: new ones are refused until `up()` or `heal()`. */
  async down(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    const closed = listener && once(listener, "close");
    listener?.close();
    this.cut();
    await closed;
  }

  /** Listens again, on the same port. */
  async up(): Promise<void> {
    if (this.#closing !== undefined) return;
    this.#listener ??= this.#makeListener();
    const listener = this.#listener;
    if (listener.listening) return;
    try {
      await new Promise<void>((resolve, reject) => {
        // `down()` and `close()` can come first.
        listener.once("listening", resolve).once("close", resolve).once("error", reject);
      });
    } catch (error) {
      if (this.#listener === listener) this.#listener = undefined;
      throw error;
    }
  }

  /** Ends black hole, delay and being down. What was held back goes through; what was broken stays broken. */
  async heal(): Promise<void> {
    this.#change(noFaults);
    await this.up();
  }

  /** Cuts every connection and stops for good. Every call after the first returns the first one's promise. */
  close(): Promise<void> {
    this.#closing ??= this.down().then(() => releasePorts([this.port]));
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #makeListener(): Server {
    const listener = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
    listener.on("error", () => {});
    return listener.listen(this.port, "127.0.0.1").unref();
  }

  #change(faults: ConnectionFaults): void {
    this.#faults = faults;
    for (const connection of this.#connections) connection.faults = faults;
  }

  #accept(client: Socket): void {
    this.#accepted++;
    const connection = new ProxiedConnection(client, this.#target, this.#faults, () =>
      this.#connections.delete(connection),
    );
    this.#connections.add(connection);
  }
}

/** @throws TypeError */
function readTarget(target: FaultProxyTarget): Target {
  const { protocol, host, port } = typeof target === "string" ? readUrl(target) : { protocol: "http:", ...target };
  if (!host) throw new TypeError("the target of a FaultProxy needs a host");
  const isPort = Number.isInteger(port) && port > 0 && port < 65_536;
  if (!isPort) throw new TypeError(`the target of a FaultProxy needs a port, from 1 to 65535, on ${host}`);
  // In a URL an IPv6 host is in brackets, a socket wants it without.
  return { protocol, host: host.replace(/^\[|\]$/g, ""), port };
}

function readUrl(text: string): Target {
  const { protocol, hostname } = new URL(text);
  // URL drops a port that is its scheme's own, 80 or 443; of a scheme that it does not know it keeps all.
  const { port } = new URL(text.replace(/^[^:]*:/, "tcp:"));
  return { protocol, host: hostname, port: Number(port) };
}
