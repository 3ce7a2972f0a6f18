import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";

/** A call, or a stream, as the server's side of a test sees it. */
export interface ScriptedCall {
  /** Such as "Range". */
  readonly method: string;
  readonly token: string | undefined;
  /** How long the client waits, as it said when it sent the call; undefined for ever. */
  readonly timeoutMs: number | undefined;
  /** Sends a message and, unless it is a stream, ends the call. */
  answer(message?: Buffer, more?: { open: boolean }): void;
  /** Ends it with a gRPC code and a sentence of etcd's. */
  refuse(refusal: readonly [code: number, sentence: string]): void;
  /** The connection is gone, and with it the outcome of the call. */
  cut(): void;
}

export type Script = (call: ScriptedCall) => void;

/** A server that speaks gRPC and does what a test says: for moments that no etcd can be held at. */
export class ScriptedEtcd implements AsyncDisposable {
  readonly calls: ScriptedCall[] = [];
  /** What is done with the next calls. */
  script: Script;
  readonly #server = createServer();
  readonly #sessions = new Set<ServerHttp2Session>();

  private constructor(script: Script) {
    this.script = script;
    this.#server.on("session", (session) => this.#sessions.add(session));
    this.#server.on("stream", (stream, headers) => {
      stream.on("error", () => {});
      stream.once("data", () => {
        const call = callOn(stream, headers);
        this.calls.push(call);
        this.script(call);
      });
    });
  }

  static async start(script: Script): Promise<ScriptedEtcd> {
    const etcd = new ScriptedEtcd(script);
    etcd.#server.listen(0, "127.0.0.1");
    await once(etcd.#server, "listening");
    return etcd;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** How many connections were made to it. */
  get connections(): number {
    return this.#sessions.size;
  }

  /** The tokens of all calls of a method, in order. */
  tokens(method: string): (string | undefined)[] {
    return this.calls.filter((call) => call.method === method).map(({ token }) => token);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) session.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

function callOn(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): ScriptedCall {
  const token = headers.token;
  return {
    method: String(headers[":path"]).split("/").at(-1) ?? "",
    token: Array.isArray(token) ? token[0] : token,
    timeoutMs: timeoutOf(String(headers["grpc-timeout"] ?? "")),
    answer(message = header, { open } = { open: false }) {
      if (stream.destroyed) return;
      if (!stream.headersSent) {
        stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      }
      const length = Buffer.alloc(5);
      length.writeUInt32BE(message.length, 1);
      stream.write(Buffer.concat([length, message]));
      if (!open) stream.end();
    },
    refuse([code, sentence]) {
      if (stream.destroyed) return;
      const status = { "grpc-status": String(code), "grpc-message": sentence };
      stream.respond({ ":status": 200, "content-type": "application/grpc", ...status }, { endStream: true });
    },
    cut: () => stream.session?.destroy(),
  };
}

function timeoutOf(header: string): number | undefined {
  if (header === "") return undefined;
  const amount = /^(\d+)m$/.exec(header)?.[1];
  if (amount === undefined) throw new TypeError(`a time-out in other units than milliseconds: ${header}`);
  return Number(amount);
}

/** Field 1 of every answer: etcd is at revision 5. */
const header = Buffer.from([0x0a, 2, 0x18, 5]);

/** AuthenticateResponse. */
export function tokenAnswer(token: string): Buffer {
  const text = Buffer.from(token);
  return Buffer.concat([header, Buffer.from([0x12, text.length]), text]);
}

/** LeaseGrantResponse: for 60 s. */
export const grantAnswer = Buffer.concat([header, Buffer.from([0x18, 60])]);

/** WatchResponse: created. */
export const createdAnswer = Buffer.concat([header, Buffer.from([0x18, 1])]);

/** etcd's own words, and the codes that they come with. */
export const refusals = {
  invalidToken: [16, "etcdserver: invalid auth token"],
  oldRevision: [3, "etcdserver: revision of auth store is old"],
  noUserName: [3, "etcdserver: user name is empty"],
  permissionDenied: [7, "etcdserver: permission denied"],
  wrongPassword: [3, "etcdserver: authentication failed, invalid user ID or password"],
  notEnabled: [9, "etcdserver: authentication is not enabled"],
  noLeader: [14, "etcdserver: no leader"],
  tooManyRequests: [2, "etcdserver: too many requests"],
} as const;
