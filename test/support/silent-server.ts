import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";

/** Listens, accepts every connection and never says a word. */
export interface SilentServer extends AsyncDisposable {
  readonly endpoint: string;
  /** Connections that are open, as this server sees it. */
  readonly connections: number;
  /** Connections accepted since the start. */
  readonly accepted: number;
}

export async function startSilentServer(): Promise<SilentServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    accepted++;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.resume();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return sockets.size;
    },
    get accepted() {
      return accepted;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  };
}
