import type { IDuplexStream } from "etcd3/lib/rpc.js";
import type { EtcdError } from "../errors/etcd-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { cancelStream } from "./cancel-stream.ts";
import type { Endpoint } from "./endpoint.ts";
import { translateFailure } from "./error-translation.ts";

/** A bidirectional stream on one endpoint. Messages are decoded here; one that cannot be decoded ends the stream. */
export class ProtocolStream<Request> {
  readonly endpoint: Endpoint;
  readonly #duplex: IDuplexStream<Request, unknown>;
  #over = false;

  constructor(
    endpoint: Endpoint,
    duplex: IDuplexStream<Request, unknown>,
    onMessage: (message: unknown) => void,
    onEnd: (error: EtcdError) => void,
  ) {
    this.endpoint = endpoint;
    this.#duplex = duplex;
    const end = (cause: unknown) => {
      if (this.#over) return;
      this.#over = true;
      cancelStream(duplex);
      onEnd(translateFailure(cause, false).error);
    };
    duplex.on("data", (message) => {
      if (this.#over) return;
      try {
        onMessage(message);
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
    if (!this.#over) this.#duplex.write(request);
  }

  /** Ends the stream now; no handler is called any more. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    cancelStream(this.#duplex);
  }
}
