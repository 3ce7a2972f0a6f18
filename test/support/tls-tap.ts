import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A link to a server of TLS, on which one listens to what is said in the clear. */
export interface TlsTap extends AsyncDisposable {
  readonly endpoint: string;
  /** For each handshake, in order: whether the server resumed a session, as its ServerHello says. */
  readonly resumed: readonly boolean[];
  /** Breaks every connection. */
  cut(): void;
}

/** @param target of TLS 1.3 */
export async function tapTls(target: string): Promise<TlsTap> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const resumed: boolean[] = [];
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
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
    upstream.once("data", (bytes: Buffer) => resumed.push(hasExtension(bytes, PRE_SHARED_KEY)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    endpoint: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    resumed,
    cut,
    async [Symbol.asyncDispose]() {
      server.close();
      cut();
      await once(server, "close");
    },
  };
}

/** In the ServerHello of TLS 1.3 it says that the session is resumed (RFC 8446, section 4.2.11). */
const PRE_SHARED_KEY = 41;
const SERVER_HELLO = 2;

/** Whether a ServerHello (RFC 8446, section 4.1.3) has an extension. It is the first record, and comes in one piece. */
function hasExtension(record: Buffer, wanted: number): boolean {
  if (record[5] !== SERVER_HELLO) throw new Error("the server began with something else than ServerHello");
  // The headers of the record and of the message, a version, 32 random bytes; then the id of a session.
  let at = 5 + 4 + 2 + 32;
  at += 1 + record.readUInt8(at);
  // A cipher and a compression.
  at += 3;
  const end = at + 2 + record.readUInt16BE(at);
  for (at += 2; at < end; at += 4 + record.readUInt16BE(at + 2)) {
    if (record.readUInt16BE(at) === wanted) return true;
  }
  return false;
}
