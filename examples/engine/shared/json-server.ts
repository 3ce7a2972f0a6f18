import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { text } from "node:stream/consumers";

export interface JsonAnswer {
  readonly status: number;
  readonly body: unknown;
}

export interface JsonRequest {
  readonly body: string;
  /** Aborts when the caller is gone before it was answered. */
  readonly signal: AbortSignal;
}

/** By method and path, "GET /health" for instance. */
export type Routes = Readonly<Record<string, (request: JsonRequest) => Promise<JsonAnswer> | JsonAnswer>>;

/** Serves JSON over HTTP. @param port 0: any that is free */
export async function serveJson(host: string, port: number, routes: Routes): Promise<Server> {
  const server = createServer(async (request, response) => {
    const gone = new AbortController();
    response.on("close", () => {
      if (!response.writableFinished) gone.abort(new Error("the caller has gone"));
    });
    const { status, body } = await answer(routes, request, gone.signal);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  server.listen(port, host);
  await once(server, "listening");
  return server;
}

async function answer(routes: Routes, request: IncomingMessage, signal: AbortSignal): Promise<JsonAnswer> {
  const handle = routes[`${request.method} ${request.url}`];
  if (!handle) return { status: 404, body: { reason: `there is no ${request.method} ${request.url}` } };
  try {
    return await handle({ body: await text(request), signal });
  } catch (error) {
    return { status: 500, body: { reason: (error as Error).message } };
  }
}
