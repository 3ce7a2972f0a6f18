import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { message } from "./http2-frames.ts";
import { MessageSplitter } from "./message-splitter.ts";

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

/** They get what comes, and the end once. After `cancel()` nothing. */
export interface ReferenceHandlers {
  onMessage(message: Buffer): void;
  onEnd(ending: Ending): void;
}

export interface ReferenceStream {
  write(message: Buffer): void;
  end(): void;
  cancel(): void;
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
    // Node gives no room back for what comes for a stream that was reset, so with the usual 64 kB the connection stands
    // still after a few of them.
    session.setLocalWindowSize(2 ** 30);
    return new ReferenceClient(session);
  }

  call(path: string, body: Buffer, { headers, deadlineMs, abort }: ReferenceOptions): Promise<Ending> {
    return new Promise((resolve) => {
      const stream = this.#request(path, headers);
      let ended: string | undefined;
      const answers: Buffer[] = [];
      const stop = (how: string) => {
        ended ??= how;
        stream.close(constants.NGHTTP2_CANCEL);
      };
      const timer = deadlineMs === undefined ? undefined : setTimeout(() => stop("deadline"), deadlineMs);
      void follow(stream, (answer) => answers.push(answer)).then(({ how, words }) => {
        clearTimeout(timer);
        const judged = how === "ok" && answers.length !== 1 ? "malformed" : how;
        if (ended !== undefined) resolve({ how: ended, words: "", body: undefined });
        else resolve({ how: judged, words, body: judged === "ok" ? answers[0] : undefined });
      });
      stream.end(message(body));
      abort?.(() => stop("aborted"));
    });
  }

  /** Opens a stream. */
  stream(path: string, headers: Record<string, string>, { onMessage, onEnd }: ReferenceHandlers): ReferenceStream {
    const stream = this.#request(path, headers);
    let cancelled = false;
    // The server has said all: what we may still have to say does not matter.
    stream.on("end", () => stream.end());
    void follow(stream, (answer) => {
      if (!cancelled) onMessage(answer);
    }).then((ending) => {
      if (!cancelled) onEnd(ending);
    });
    return {
      write: (bytes) => void stream.write(message(bytes)),
      end: () => void stream.end(),
      cancel() {
        cancelled = true;
        stream.close(constants.NGHTTP2_CANCEL);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session.destroy();
    await new Promise(setImmediate);
  }

  #request(path: string, headers: Record<string, string>): ClientHttp2Stream {
    return this.#session.request({
      ":method": "POST",
      ":path": path,
      te: "trailers",
      "content-type": "application/grpc",
      ...headers,
    });
  }
}

/** Waits for the end of a stream, and returns how it was. */
function follow(stream: ClientHttp2Stream, onMessage: (message: Buffer) => void): Promise<Ending> {
  return new Promise((resolve) => {
    let fields: Record<string, unknown> = {};
    const splitter = new MessageSplitter(onMessage);
    const take = (got: object) => {
      fields = { ...fields, ...got };
    };
    stream.on("response", take);
    stream.on("trailers", take);
    stream.on("data", (part: Buffer) => splitter.add(part));
    stream.on("error", () => {});
    stream.on("close", () => resolve({ ...judge(stream.rstCode ?? 0, fields, splitter.isWhole), body: undefined }));
  });
}

function judge(rstCode: number, fields: Record<string, unknown>, isWhole: boolean) {
  const status = fields["grpc-status"];
  if (rstCode !== 0) return { how: `reset ${rstCode}`, words: "" };
  if (fields[":status"] !== 200 || !String(fields["content-type"]).startsWith("application/grpc"))
    return { how: `page ${fields[":status"] ?? 0}`, words: "" };
  if (status === undefined) return { how: "malformed", words: "" };
  const words = decodeURIComponent(String(fields["grpc-message"] ?? ""));
  if (status !== "0") return { how: `status ${status}`, words };
  return { how: isWhole ? "ok" : "malformed", words: "" };
}
