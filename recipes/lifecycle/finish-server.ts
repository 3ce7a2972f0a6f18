import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../../src/internal/index.ts";
import type { ClosableServer } from "./shutdown-options.ts";

/** Connections that have become idle are looked for so often. */
const LOOK_EVERY_MS = 50;

interface Socket {
  once(event: "close", listener: () => void): unknown;
  destroy(): unknown;
}

/** Of HTTP/2. */
interface Session {
  once(event: "close", listener: () => void): unknown;
  close(): void;
}

/** What servers of `node:http`, `node:http2` and `node:net` have besides. */
interface NodeServer extends ClosableServer {
  prependListener?(event: "request", listener: (request: IncomingMessage, response: ServerResponse) => void): unknown;
  closeIdleConnections?(): void;
  closeAllConnections?(): void;
  on?(event: "connection", listener: (socket: Socket) => void): unknown;
  on?(event: "session", listener: (session: Session) => void): unknown;
}

/** What is open at servers that cannot close it themselves: those of `node:http2` and `node:net`. */
const openAt = new WeakMap<object, { readonly sockets: Set<Socket>; readonly sessions: Set<Session> }>();

/** From now on what is opened at a server is known, if it cannot close all of it itself. */
export function followConnections(server: NodeServer): void {
  if (server.closeAllConnections || !server.on || openAt.has(server)) return;
  const open = { sockets: new Set<Socket>(), sessions: new Set<Session>() };
  openAt.set(server, open);
  server.on("connection", (socket) => {
    open.sockets.add(socket);
    socket.once("close", () => open.sockets.delete(socket));
  });
  server.on("session", (session) => {
    open.sessions.add(session);
    session.once("close", () => open.sessions.delete(session));
  });
}

/**
 * Has a server of HTTP/1 end each connection with its next answer: a client that would keep it alive sends no request
 * on a connection that is about to be closed. It goes on to accept new ones.
 */
export function endConnectionsWithAnswers(server: NodeServer): void {
  server.prependListener?.("request", ({ httpVersionMajor }, response) => {
    if (httpVersionMajor === 1 && !response.headersSent) response.setHeader("connection", "close");
  });
}

/**
 * Lets requests end, and takes no connection any more. A session of HTTP/2 ends with the last of its requests. What is
 * not done within `limitMs` is destroyed; of servers of `node:http2` and `node:net` what came after
 * `followConnections()`.
 *
 * @returns whether it was done in time
 * @throws what `close()` fails with, unless it is that the server does not listen
 */
export async function finishServer(server: NodeServer, clock: Clock, limitMs: number): Promise<boolean> {
  let inTime = true;
  const look = () => {
    server.closeIdleConnections?.();
    idle = clock.timer(LOOK_EVERY_MS, look);
  };
  let idle = clock.timer(LOOK_EVERY_MS, look);
  const closed = new Promise<void>((resolve, reject) => {
    const settle = (error?: Error & { code?: string }) => {
      if (error && error.code !== "ERR_SERVER_NOT_RUNNING") reject(error);
      else resolve();
    };
    const returned = server.close(settle);
    if (returned instanceof Promise) returned.then(() => settle(), settle);
    for (const session of openAt.get(server)?.sessions ?? []) session.close();
    clock
      .timer(limitMs, () => {
        inTime = false;
        server.closeAllConnections?.();
        for (const socket of openAt.get(server)?.sockets ?? []) socket.destroy();
        resolve();
      })
      .unref();
  });
  try {
    await closed;
    return inTime;
  } finally {
    idle.cancel();
  }
}
