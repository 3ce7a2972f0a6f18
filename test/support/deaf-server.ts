import { connect, type Socket } from "node:net";
import { startChild } from "./child.ts";

/** Linux takes one connection more than the backlog says, and these fill it. */
const crowd = 8;

const program = `
  const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    console.log(server.address().port);
    process.kill(process.pid, "SIGSTOP");
  });
`;

/**
 * A port where the kernel drops every attempt to connect, as with a host that is gone: the process behind it is
 * stopped, and its queue of connections is full.
 */
export async function startDeafServer(): Promise<{ readonly endpoint: string } & AsyncDisposable> {
  const child = startChild(process.execPath, ["-e", program]);
  const port = Number(await child.firstLine);
  const sockets: Socket[] = [];
  for (let i = 0; i < crowd; i++) sockets.push(connect(port, "127.0.0.1").on("error", () => {}));
  return {
    endpoint: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await child[Symbol.asyncDispose]();
    },
  };
}
