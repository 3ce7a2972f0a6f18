import type { EtcdError } from "../errors/etcd-error.ts";
import type { GrpcStream } from "../grpc/index.ts";
import type { Method } from "./codec/codec.ts";
import type { Endpoint } from "./endpoints/endpoint.ts";
import { translateFailure } from "./errors/error-translation.ts";
import type { StreamHandlers } from "./stream-handlers.ts";

/** A bidirectional stream on one endpoint, between messages and bytes. A message that cannot be decoded ends it. */
export class ProtocolStream<Request, Response> implements StreamHandlers<Buffer> {
  readonly endpoint: Endpoint;
  readonly #method: Method<Request, Response>;
  readonly #handlers: StreamHandlers<Response>;
  #stream: GrpcStream | undefined;
  #over = false;

  constructor(method: Method<Request, Response>, endpoint: Endpoint, handlers: StreamHandlers<Response>) {
    this.endpoint = endpoint;
    this.#method = method;
    this.#handlers = handlers;
  }

  /** Takes the stream that was opened with this as its handlers. */
  opened(stream: GrpcStream): void {
    this.#stream = stream;
  }

  send(request: Request): void {
    if (!this.#over) this.#stream?.write(this.#method.encode(request));
  }

  /** Ends the stream now; no handler is called any more. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream?.cancel();
  }

  onMessage(bytes: Buffer): void {
    if (this.#over) return;
    try {
      this.#handlers.onMessage(this.#method.decode(bytes));
    } catch (cause) {
      this.#stream?.cancel();
      this.onEnd(translateFailure(cause, { write: false }).error);
    }
  }

  onEnd(error: EtcdError): void {
    if (this.#over) return;
    this.#over = true;
    this.#handlers.onEnd(error);
  }
}
