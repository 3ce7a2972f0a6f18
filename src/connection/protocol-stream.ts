import type { ClientDuplexStream } from "@grpc/grpc-js";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { cancelStream } from "./cancel-stream.ts";
import type { Method } from "./codec.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Failure, translateFailure } from "./error-translation.ts";

export interface ProtocolStreamHandlers<Response> {
  onMessage(message: Response): void;
  /** Called once when the stream is over for any reason but our own `close()`. Nothing follows it. */
  onEnd(failure: Failure): void;
}

/** A bidirectional stream on one endpoint. A message that cannot be decoded ends it. */
export class ProtocolStream<Request, Response> {
  readonly endpoint: Endpoint;
  readonly #method: Method<Request, Response>;
  readonly #duplex: ClientDuplexStream<Buffer, Buffer>;
  #over = false;

  constructor(
    method: Method<Request, Response>,
    endpoint: Endpoint,
    duplex: ClientDuplexStream<Buffer, Buffer>,
    { onMessage, onEnd }: ProtocolStreamHandlers<Response>,
  ) {
    this.endpoint = endpoint;
    this.#method = method;
    this.#duplex = duplex;
    const end = (cause: unknown) => {
      if (this.#over) return;
      this.#over = true;
      cancelStream(duplex);
      onEnd(translateFailure(cause, { write: false }));
    };
    duplex.on("data", (bytes: Buffer) => {
      if (this.#over) return;
      try {
        onMessage(method.decode(bytes));
      } catch (error) {
        end(error);
      }
    });
    duplex.on("error", end);
    duplex.on("end", () =>
      end(new UnavailableError(`${endpoint.url}: the server ended the stream`, { retryable: true })),
    );
  }

  send(request: Request): void {
    if (!this.#over) this.#duplex.write(this.#method.encode(request));
  }

  /** Ends the stream now; no handler is called any more. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    cancelStream(this.#duplex);
  }
}
