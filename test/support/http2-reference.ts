import { once } from "node:events";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { message } from "./http2-frames.ts";

/** How a call ended, in the same words for every client. */
export interface Ending {
  /** `ok`, `status 5`, `reset 7`, `page 503`, `aborted`, `deadline`, `malformed`. */
  readonly how: string;
  readonly words: string;
  readonly body: Buffer | undefined;
}

export interface ReferenceOptions {
  readonly headers: Record<string, string>;
  readonly deadlineMs?: number | undefined;
  /** Called once the request is on its way; aborts the call. */
  abort?(abort: () => void): void;
}

/** A client of gRPC on Node's own HTTP/2, as plain as can be: what the answers of ours are compared with. */
export class ReferenceClient implements AsyncDisposable {
  readonly #session: ClientHttp2Session;

  private constructor(session: ClientHttp2Session) {
    this.#session = session;
    session.on("error", () => {});
  }

  static async connect(url: string): Promise<ReferenceClient> {
    const session = connect(url, { maxSessionMemory: 1_000, settings: { initialWindowSize: 4 * 1024 * 1024 } });
    await once(session, "remoteSettings");
    return new ReferenceClient(session);
  }

  call(path: string, body: Buffer, { headers, deadlineMs, abort }: ReferenceOptions): Promise<Ending> {
    return new Promise((resolve) => {
      const stream = this.#session.request({
        ":method": "POST",
        ":path": path,
        te: "trailers",
        "content-type": "application/grpc",
        ...headers,
      });
      let ended: string | undefined;
      let httpStatus = 0;
      let contentType = "";
      let fields: Record<string, unknown> = {};
      const parts: Buffer[] = [];
      const stop = (how: string) => {
        ended ??= how;
        stream.close(constants.NGHTTP2_CANCEL);
      };
      const timer = deadlineMs === undefined ? undefined : setTimeout(() => stop("deadline"), deadlineMs);
      stream.on("response", (got) => {
        httpStatus = got[":status"] ?? 0;
        contentType = got["content-type"] ?? "";
        fields = { ...fields, ...got };
      });
      stream.on("trailers", (got) => {
        fields = { ...fields, ...got };
      });
      stream.on("data", (part: Buffer) => parts.push(part));
      stream.on("error", () => {});
      stream.on("close", () => {
        clearTimeout(timer);
        const { how, words, answer } = judge(
          stream.rstCode ?? 0,
          httpStatus,
          contentType,
          fields,
          Buffer.concat(parts),
        );
        resolve({
          how: ended ?? how,
          words: ended === undefined ? words : "",
          body: ended === undefined ? answer : undefined,
        });
      });
      stream.end(message(body));
      abort?.(() => stop("aborted"));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session.destroy();
    await new Promise(setImmediate);
  }
}

function judge(
  rstCode: number,
  httpStatus: number,
  contentType: string,
  fields: Record<string, unknown>,
  bytes: Buffer,
) {
  const status = fields["grpc-status"];
  const words = decodeURIComponent(String(fields["grpc-message"] ?? ""));
  if (rstCode !== 0) return { how: `reset ${rstCode}`, words: "", answer: undefined };
  if (httpStatus !== 200 || !contentType.startsWith("application/grpc"))
    return { how: `page ${httpStatus}`, words: "", answer: undefined };
  if (status === undefined) return { how: "malformed", words: "", answer: undefined };
  if (status !== "0") return { how: `status ${status}`, words, answer: undefined };
  if (bytes.length < 5 || bytes.readUInt32BE(1) !== bytes.length - 5)
    return { how: "malformed", words: "", answer: undefined };
  return { how: "ok", words: "", answer: bytes.subarray(5) };
}
