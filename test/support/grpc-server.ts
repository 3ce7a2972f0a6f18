import { once } from "node:events";
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { message } from "./http2-frames.ts";

/** A server of gRPC on Node's own HTTP/2. */
export interface GrpcServer extends AsyncDisposable {
  readonly target: { readonly host: string; readonly port: number };
  readonly sessions: ReadonlySet<ServerHttp2Session>;
  readonly server: Http2Server | Http2SecureServer;
}

export type Answer = (stream: ServerHttp2Stream, headers: Record<string, string | string[] | undefined>) => void;

/** Answers each request with its own body, as one message. */
export const echo: Answer = (stream) => {
  const parts: Buffer[] = [];
  stream.on("error", () => {});
  stream.on("data", (part: Buffer) => parts.push(part));
  stream.on("end", () => {
    if (stream.destroyed) return;
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.concat(parts));
  });
};

/** Answers at once with one message. */
export function say(stream: ServerHttp2Stream, body: string | Buffer): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(message(body));
}

/**
 * Resets a stream, and not within a callback of Node's: there, a reset by CANCEL with data that has not left makes Node
 * 20 loop for ever, and take all memory.
 */
export function closeSoon(stream: ServerHttp2Stream, code: number): void {
  setImmediate(() => stream.close(code));
}

export async function startGrpcServer(
  answer: Answer = echo,
  options: ServerOptions | SecureServerOptions = {},
  secure = false,
): Promise<GrpcServer> {
  const server = secure ? createSecureServer(options as SecureServerOptions) : createServer(options as ServerOptions);
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session: ServerHttp2Session) => {
    sessions.add(session);
    session.on("error", () => {});
    session.on("close", () => sessions.delete(session));
  });
  server.on("sessionError", () => {});
  server.on("tlsClientError", () => {});
  server.on("stream", answer);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    target: { host: "127.0.0.1", port: (server.address() as AddressInfo).port },
    sessions,
    server,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
