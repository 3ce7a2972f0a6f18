import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { releasePorts, takePort } from "../../testing/free-ports.ts";

/** A TCP balancer, as a Kubernetes Service is one: each connection goes to the next of its targets, and stays there. */
export interface Balancer extends AsyncDisposable {
  readonly endpoint: string;
  /** Where the next connections go, in turn, as URLs. Those that are there stay where they are. */
  targets: readonly string[];
  /** How many connections were accepted since the start. */
  readonly accepted: number;
}

/** @param at where it listens; by default on a free port of 127.0.0.1 */
export async function startBalancer(
  targets: readonly string[],
  at?: { readonly host: string; readonly port: number },
): Promise<Balancer> {
  const sockets = new Set<Socket>();
  const { host, port } = at ?? { host: "127.0.0.1", port: await takePort() };
  const server = createServer((client) => {
    const target = new URL(balancer.targets[accepted++ % balancer.targets.length] as string);
    const upstream = connect(Number(target.port), target.hostname);
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  server.listen(port, host);
  await once(server, "listening");
  let accepted = 0;
  const balancer: Balancer = {
    endpoint: `http://${host}:${port}`,
    targets,
    get accepted() {
      return accepted;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
      if (!at) releasePorts([port]);
    },
  };
  return balancer;
}
