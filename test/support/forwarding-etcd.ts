import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { Codec } from "../../src/connection/codec/codec.ts";
import { bytesTag, varintTag, WireWriter } from "../../src/connection/codec/wire-writer.ts";
import { keyAfter } from "../../src/kv/index.ts";
import { message } from "./http2-frames.ts";

const rangeStream = "/etcdserverpb.KV/RangeStream";
const range = "/etcdserverpb.KV/Range";
/** What etcd 3.7.1 asks its store for at first (server/etcdserver/v3_server.go: initialStreamChunkLimit is more). */
const PART_KEYS = 100;

/**
 * An etcd that has RangeStream, as 3.7: a real one, to which each call is handed on, and this call made of many ranges
 * as 3.7.1 does it: keys alone in all parts but the last.
 */
export class ForwardingEtcd implements AsyncDisposable {
  /** The paths of all calls, in order. */
  calls: string[] = [];
  /** Whether it knows the call, or is an etcd before 3.7. */
  hasStream = true;
  /** Called before each part of a RangeStream, with how many came before it; what it throws breaks the stream. */
  beforePart: (parts: number) => Promise<void> | void = () => {};
  /** How many bytes of parts were written, for all streams. */
  sentBytes = 0;
  /** A part waits for the client's window. */
  waits = false;
  /** How many RangeStreams the client has ended early. */
  cancelled = 0;
  readonly #server = createServer();
  readonly #upstream: ClientHttp2Session;
  readonly #sessions = new Set<ServerHttp2Session>();

  private constructor(endpoint: string) {
    this.#upstream = connect(endpoint);
    this.#upstream.on("error", () => {});
    this.#server.on("session", (session) => this.#sessions.add(session));
    this.#server.on("stream", (stream, headers) => {
      stream.on("error", () => {});
      this.calls.push(String(headers[":path"]));
      if (this.hasStream && headers[":path"] === rangeStream) void this.#stream(stream);
      else this.#forward(stream, headers);
    });
  }

  static async start(endpoint: string): Promise<ForwardingEtcd> {
    const etcd = new ForwardingEtcd(endpoint);
    etcd.#server.listen(0, "127.0.0.1");
    await once(etcd.#server, "listening");
    return etcd;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** As it was when it was started. */
  reset(): void {
    this.calls = [];
    this.hasStream = true;
    this.beforePart = () => {};
    this.sentBytes = this.cancelled = 0;
    this.waits = false;
  }

  countOf(call: string): number {
    return this.calls.filter((path) => path.endsWith(`/${call}`)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) session.destroy();
    this.#upstream.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #forward(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const upstream = this.#upstream.request({ ...headers, ":authority": undefined });
    upstream.on("error", () => stream.destroy());
    stream.on("close", () => upstream.close());
    stream.pipe(upstream);
    upstream.on("response", (answer) => {
      // What ends with its headers has all that it says in them.
      if (answer["grpc-status"] !== undefined) stream.respond(answer, { endStream: true });
      else stream.respond(answer, { waitForTrailers: true });
    });
    upstream.on("trailers", (trailers) => stream.on("wantTrailers", () => stream.sendTrailers(trailers)));
    upstream.pipe(stream);
  }

  async #stream(stream: ServerHttp2Stream): Promise<void> {
    let isOver = false;
    const closed = new Promise<void>((resolve) => {
      stream.on("close", () => {
        if (!isOver) this.cancelled++;
        resolve();
      });
    });
    const request = await whole(stream);
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    let status: OutgoingHttpHeaders = { "grpc-status": "0" };
    stream.on("wantTrailers", () => stream.sendTrailers(status));
    let key: Uint8Array | undefined;
    let left = [...fieldsOf(request)].find(({ field }) => field === 3)?.value ?? Number.POSITIVE_INFINITY;
    for (let parts = 0; ; parts++) {
      try {
        await this.beforePart(parts);
        const { answer, kvs, more: isCut } = await this.#range(request, key, Math.min(PART_KEYS, left));
        left -= kvs.length;
        const more = isCut && left > 0;
        const part = message(inField(1, more ? onlyKvs(answer) : answer));
        if (stream.destroyed) return;
        this.sentBytes += part.length;
        if (!stream.write(part)) {
          this.waits = true;
          await new Promise<void>((resolve) => {
            stream.once("drain", resolve);
            void closed.then(resolve);
          });
          this.waits = false;
        }
        const last = kvs.at(-1);
        if (!more || !last) break;
        key = keyAfter(last.keyBytes);
      } catch (error) {
        isOver = true;
        if (!(error instanceof Refusal)) {
          stream.close(2);
          return;
        }
        status = error.status;
        break;
      }
    }
    isOver = true;
    stream.end();
  }

  /** The last of several values of a field counts. */
  async #range(request: Buffer, key: Uint8Array | undefined, limit: number) {
    const writer = new WireWriter();
    if (key) writer.uint32(bytesTag(1)).bytes(key);
    writer.uint32(varintTag(3)).int64(limit);
    const asked = Buffer.concat([request, writer.finish()]);
    const upstream = this.#upstream.request({
      ":method": "POST",
      ":path": range,
      "content-type": "application/grpc",
      te: "trailers",
    });
    let status: IncomingHttpHeaders = {};
    const received = (headers: IncomingHttpHeaders) => {
      if ("grpc-status" in headers) status = headers;
    };
    upstream.on("response", received).on("trailers", received).end(message(asked));
    const answer = await whole(upstream);
    if (status["grpc-status"] !== "0") throw new Refusal(status);
    return { answer, ...new Codec().range.decode(answer) };
  }
}

/** What the real etcd ended a call with. */
class Refusal extends Error {
  readonly status: OutgoingHttpHeaders;

  constructor({ "grpc-status": code, "grpc-message": sentence }: IncomingHttpHeaders) {
    super(String(sentence));
    this.status = { "grpc-status": code, "grpc-message": sentence };
  }
}

/** The one message that comes. */
async function whole(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).subarray(5);
}

function inField(field: number, bytes: Buffer): Buffer {
  const writer = new WireWriter();
  return writer.uint32(bytesTag(field)).bytes(bytes).finish();
}

/** A RangeResponse without its header, count and more. */
function onlyKvs(answer: Buffer): Buffer {
  const kvs = [...fieldsOf(answer)].filter(({ field }) => field === 2);
  return Buffer.concat(kvs.map(({ start, end }) => answer.subarray(start, end)));
}

/** The fields of a message, by where they stand; the value of one that is a number, of others their length. */
function* fieldsOf(bytes: Buffer) {
  for (let at = 0; at < bytes.length; ) {
    const start = at;
    const tag = bytes[at++] as number;
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if ((tag & 7) === 2) at += value;
    yield { field: tag >> 3, value, start, end: at };
  }
}
