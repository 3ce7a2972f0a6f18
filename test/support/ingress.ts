import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";

/**
 * What it says in place of etcd: an HTTP status, a gRPC code with words of its own, or HTTP/2's "enhance your calm".
 */
export type Refusal = { readonly http: number } | { readonly grpc: number; readonly message: string } | "calm";

/** An HTTP/2 proxy before one etcd, as an ingress or a gateway is: it passes calls on, or answers them itself. */
export class Ingress implements AsyncDisposable {
  /** Undefined: calls are passed on. */
  refusal: Refusal | undefined;
  /** Calls whose path ends so are passed on to etcd, and answered with `refusal` once etcd has answered. */
  afterwards: string | undefined;
  /** How many calls and streams it has refused. */
  refused = 0;
  /** So many calls and streams it takes on a connection; then it ends that with GOAWAY, and those above are ignored. */
  mostStreams = Number.POSITIVE_INFINITY;
  /** How many connections it has ended so. */
  ended = 0;
  readonly #server: Http2Server = createServer();
  readonly #target: string;
  readonly #sessions = new Set<ServerHttp2Session>();
  /** How many streams each has had. */
  readonly #streams = new WeakMap<object, number>();
  #upstream: ClientHttp2Session | undefined;

  private constructor(target: string) {
    this.#target = target;
    this.#server.on("session", (session) => {
      this.#sessions.add(session);
      session.on("error", () => {});
      session.on("close", () => this.#sessions.delete(session));
    });
    this.#server.on("stream", (stream, headers) => this.#serve(stream, headers));
  }

  static async start(target: string): Promise<Ingress> {
    const ingress = new Ingress(target);
    ingress.#server.listen(0, "127.0.0.1");
    await once(ingress.#server, "listening");
    return ingress;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How many connections it has. */
  get connections(): number {
    return this.#sessions.size;
  }

  /** Ends every connection to it by GOAWAY: what is open goes on. */
  goaway(): void {
    for (const session of this.#sessions) session.close();
  }

  /** Ends every connection to it: streams have to be opened anew. */
  cut(): void {
    for (const session of this.#sessions) session.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    this.#upstream?.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on("error", () => {});
    const { session, id } = stream;
    const streams = (this.#streams.get(session as object) ?? 0) + 1;
    this.#streams.set(session as object, streams);
    if (streams === this.mostStreams) {
      this.ended++;
      session?.goaway(constants.NGHTTP2_NO_ERROR, id);
      session?.close();
    }
    if (streams > this.mostStreams) return;
    const afterwards = this.afterwards !== undefined && headers[":path"]?.endsWith(this.afterwards);
    if (this.refusal === undefined) this.#passOn(stream, headers);
    else if (afterwards) this.#passOn(stream, headers, this.refusal);
    else this.#refuse(stream, this.refusal);
  }

  #refuse(stream: ServerHttp2Stream, refusal: Refusal): void {
    this.refused++;
    if (stream.destroyed) return;
    if (refusal === "calm") {
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    } else if ("http" in refusal) {
      stream.respond({ ":status": refusal.http, "content-type": "text/html" });
      stream.end("<h1>no</h1>");
    } else {
      const status = { "grpc-status": String(refusal.grpc), "grpc-message": refusal.message };
      stream.respond({ ":status": 200, "content-type": "application/grpc", ...status }, { endStream: true });
    }
  }

  #passOn(stream: ServerHttp2Stream, { host: _, ...headers }: IncomingHttpHeaders, refusal?: Refusal): void {
    const upstream = this.#connect().request({ ...headers, ":authority": new URL(this.#target).host });
    upstream.on("error", () => stream.destroy());
    stream.on("close", () => upstream.destroy());
    stream.pipe(upstream);
    if (refusal !== undefined) {
      upstream.resume().on("end", () => this.#refuse(stream, refusal));
      return;
    }
    let trailers: IncomingHttpHeaders = {};
    upstream.on("trailers", (given) => {
      trailers = given;
    });
    upstream.on("response", (given) => {
      if (stream.destroyed) return;
      stream.respond(given, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers(trailers));
      upstream.pipe(stream);
    });
  }

  #connect(): ClientHttp2Session {
    if (!this.#upstream || this.#upstream.destroyed) {
      this.#upstream = connect(this.#target);
      this.#upstream.on("error", () => {});
    }
    return this.#upstream;
  }
}
