import type { Exchange, ExchangePort, Receiver } from "./exchange.ts";
import type { GrpcStream, StreamHandlers } from "./grpc-connection.ts";
import type { GrpcFailure } from "./grpc-failure.ts";
import type { Metadata } from "./metadata.ts";
import { rethrow } from "./rethrow.ts";

/** Messages both ways. */
export class MessageStream implements Receiver, GrpcStream {
  readonly #port: ExchangePort;
  readonly takesViews: boolean;
  #handlers: StreamHandlers | undefined;
  #wantsDrain = false;
  exchange: Exchange | undefined;

  constructor(port: ExchangePort, handlers: StreamHandlers, views: boolean) {
    this.#port = port;
    this.#handlers = handlers;
    this.takesViews = views;
  }

  get bufferedBytes(): number {
    return this.exchange?.unsentBytes ?? 0;
  }

  write(message: Uint8Array): boolean {
    const { exchange } = this;
    if (!exchange || exchange.over) return false;
    if (exchange.ended) throw new TypeError("a message after end()");
    this.#port.send(exchange, message, false);
    if (exchange.unsent === undefined) return true;
    this.#wantsDrain = true;
    return false;
  }

  end(): void {
    const { exchange } = this;
    if (exchange && !exchange.over && !exchange.ended) this.#port.sendEnd(exchange);
  }

  cancel(): void {
    this.#handlers = undefined;
    if (this.exchange) this.#port.cancel(this.exchange);
  }

  pause(): void {
    if (this.exchange) this.exchange.paused = true;
  }

  resume(): void {
    const { exchange } = this;
    if (!exchange?.paused) return;
    exchange.paused = false;
    if (!exchange.over) this.#port.returnWindow(exchange);
  }

  message(message: Buffer, isView: boolean): void {
    try {
      this.#handlers?.onMessage(isView && !this.takesViews ? Buffer.from(message) : message);
    } catch (error) {
      rethrow(error);
    }
  }

  over(failure: GrpcFailure | undefined, metadata: Metadata | undefined): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    try {
      handlers?.onEnd(failure, failure?.metadata ?? metadata);
    } catch (error) {
      rethrow(error);
    }
  }

  drained(): void {
    if (!this.#wantsDrain || this.exchange?.unsent !== undefined) return;
    this.#wantsDrain = false;
    this.#handlers?.onDrain?.();
  }
}
