import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "../../src/internal/index.ts";
import type { ClosableServer } from "./shutdown-options.ts";

/** Connections that have become idle are looked for so often. */
const LOOK_EVERY_MS = 50;

/** What servers of `node:http` have besides. */
interface HttpServer extends ClosableServer {
  prependListener?(event: "request", listener: (request: IncomingMessage, response: ServerResponse) => void): unknown;
  closeIdleConnections?(): void;
  closeAllConnections?(): void;
}

/**
 * Has a server of HTTP/1 end each connection with its next answer: a client that would keep it alive sends no request
 * on a connection that is about to be closed. It goes on to accept new ones.
 */
export function endConnectionsWithAnswers(server: HttpServer): void {
  server.prependListener?.("request", ({ httpVersionMajor }, response) => {
    if (httpVersionMajor === 1 && !response.headersSent) response.setHeader("connection", "close");
  });
}

/**
 * Lets requests end, and takes no connection any more. What is not done within `limitMs` is destroyed.
 *
 * @returns whether it was done in time
 * @throws what `close()` fails with, unless it is that the server does not listen
 */
export async function finishServer(server: HttpServer, clock: Clock, limitMs: number): Promise<boolean> {
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
    clock
      .timer(limitMs, () => {
        inTime = false;
        server.closeAllConnections?.();
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
