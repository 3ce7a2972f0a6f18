import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FaultProxy } from "../../testing/index.ts";
import { until } from "../support/until.ts";

/** A client's end of a connection, and what came out of it. */
class Peer {
  readonly socket: Socket;
  readonly events: string[] = [];
  readonly #chunks: Buffer[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk) => this.#chunks.push(chunk));
    socket.on("end", () => this.events.push("end"));
    socket.on("error", (error: NodeJS.ErrnoException) => this.events.push(error.code ?? error.message));
    socket.on("close", () => this.events.push("close"));
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.received.toString();
  }

  untilText(text: string): Promise<boolean> {
    return until(() => this.text === text, { message: () => `"${text}" arrives; there is "${this.text}"` });
  }
}

let server: Server;
let proxy: FaultProxy;
/** The server's ends, in the order in which they were accepted. */
let accepted: Peer[];
let peers: Peer[];

beforeEach(async () => {
  accepted = [];
  peers = [];
  server = createServer({ allowHalfOpen: true }, (socket) => accepted.push(new Peer(socket)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy = await FaultProxy.start({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
});

afterEach(async () => {
  await proxy.close();
  for (const { socket } of [...accepted, ...peers]) socket.destroy();
  server.close();
});

async function dial(port = proxy.port): Promise<Peer> {
  const peer = new Peer(connect({ port, host: "127.0.0.1", allowHalfOpen: true }));
  peers.push(peer);
  await once(peer.socket, "connect");
  return peer;
}

/** A connection through the proxy that is known to work: both of its ends. */
async function connected(): Promise<[client: Peer, server: Peer]> {
  const before = accepted.length;
  const client = await dial();
  await until(() => accepted.length > before, { message: "the server accepts" });
  return [client, accepted[before] as Peer];
}

/** A round trip that does not pass the proxy: what the proxy would let through has had its time. */
async function roundTrip(): Promise<void> {
  const before = accepted.length;
  const client = await dial((server.address() as AddressInfo).port);
  await until(() => accepted.length > before);
  accepted[before]?.socket.write("direct");
  await client.untilText("direct");
  accepted.splice(before, 1);
}

/** Waits until a number has been the same for many polls in a row. */
async function untilSteady(read: () => number): Promise<void> {
  let last = Number.NaN;
  let same = 0;
  await until(() => {
    const value = read();
    same = value === last ? same + 1 : 0;
    last = value;
    return same >= 20;
  });
}

describe("without faults", () => {
  test("bytes go through both ways, and connections are counted", async () => {
    const [client, served] = await connected();
    client.socket.write("ping");
    served.socket.write("pong");
    await served.untilText("ping");
    await client.untilText("pong");
    expect(proxy).toMatchObject({ connections: 1, accepted: 1, endpoint: `http://127.0.0.1:${proxy.port}` });
  });

  test("a slow reader slows the writer down and loses nothing", async () => {
    const [client, served] = await connected();
    const chunk = Buffer.alloc(64 * 1024, "0123456789abcdef");
    const chunks = 512;
    served.socket.pause();
    for (let i = 0; i < chunks; i++) client.socket.write(chunk);
    client.socket.end();
    await untilSteady(() => client.socket.writableLength);
    expect(client.socket.writableLength).toBeGreaterThan((chunks * chunk.length) / 2);
    served.socket.resume();
    await until(() => served.events.includes("end"), { message: "the end arrives" });
    expect(served.received.equals(Buffer.alloc(chunks * chunk.length, chunk))).toBe(true);
  });

  test("the end of a stream goes through, and closed connections are forgotten", async () => {
    const [client, served] = await connected();
    client.socket.end("bye");
    await until(() => served.events.includes("end"));
    expect(served.text).toBe("bye");
    served.socket.end("bye too");
    await until(() => client.events.includes("close"));
    expect(client.text).toBe("bye too");
    await until(() => proxy.connections === 0);
  });

  test("a target that refuses connections shows as a reset", async () => {
    server.close();
    const client = await dial();
    await until(() => client.events.includes("close"));
    expect(client.events[0]).toBe("ECONNRESET");
    await until(() => proxy.connections === 0);
  });
});

test("cut resets every open connection at both ends, and new ones go through", async () => {
  const [client, served] = await connected();
  proxy.cut();
  await until(() => client.events.includes("close") && served.events.includes("close"));
  expect(client.events[0]).toBe("ECONNRESET");
  expect(served.events[0]).toBe("ECONNRESET");
  const [again, servedAgain] = await connected();
  again.socket.write("again");
  await servedAgain.untilText("again");
  expect(proxy).toMatchObject({ connections: 1, accepted: 2 });
});

describe("a black hole", () => {
  test("lets nothing through and breaks nothing; after heal everything arrives", async () => {
    const [client, served] = await connected();
    proxy.blackHole();
    client.socket.write("to server");
    served.socket.write("to client");
    await roundTrip();
    expect([client.text, served.text, client.events, served.events]).toEqual(["", "", [], []]);
    await proxy.heal();
    await served.untilText("to server");
    await client.untilText("to client");
  });

  test("accepts new connections and stays silent; the target learns of them after heal", async () => {
    proxy.blackHole();
    const client = await dial();
    client.socket.write("hello?");
    await roundTrip();
    expect([accepted.length, client.events]).toEqual([0, []]);
    await proxy.heal();
    await until(() => accepted.length === 1);
    await accepted[0]?.untilText("hello?");
  });

  test("also holds what a delay has under way", async () => {
    const [client, served] = await connected();
    await using slower = await FaultProxy.start({ host: "127.0.0.1", port: (server.address() as AddressInfo).port });
    const clock = await dial(slower.port);
    await until(() => accepted.length === 2);
    proxy.delay(500);
    client.socket.write("under way");
    await roundTrip();
    proxy.blackHole();
    slower.delay(1_000);
    clock.socket.write("later");
    await accepted[1]?.untilText("later");
    expect(served.text).toBe("");
    await proxy.heal();
    await served.untilText("under way");
  });

  test("in one direction leaves the other one alone", async () => {
    const [client, served] = await connected();
    proxy.blackHole("toClient");
    served.socket.write("unheard");
    client.socket.write("heard");
    await served.untilText("heard");
    await roundTrip();
    expect(client.text).toBe("");
    await proxy.heal();
    await client.untilText("unheard");
  });

  test("ends for a connection that is cut, also for one that never reached the target", async () => {
    const [client] = await connected();
    proxy.blackHole();
    const silent = await dial();
    await until(() => proxy.connections === 2);
    proxy.halfClose("toServer");
    proxy.cut();
    await until(() => client.events.includes("close") && silent.events.includes("close"));
    await until(() => proxy.connections === 0);
  });
});

test("delay makes a round trip take twice as long, and keeps the order", async () => {
  const [client, served] = await connected();
  proxy.delay(60);
  const start = performance.now();
  for (const letter of "abcdef") client.socket.write(letter);
  await served.untilText("abcdef");
  served.socket.write("answer");
  await client.untilText("answer");
  expect(performance.now() - start).toBeGreaterThanOrEqual(118);
  proxy.delay(0);
  client.socket.write("!");
  await served.untilText("abcdef!");
});

test("bytes under way when a delay ends do not overtake each other", async () => {
  const [client, served] = await connected();
  proxy.delay(80);
  client.socket.write("first,");
  await roundTrip();
  proxy.delay(0);
  client.socket.write("second");
  await served.untilText("first,second");
});

describe("a half close", () => {
  test("to the client: it sees the end, and its own bytes still go through", async () => {
    const [client, served] = await connected();
    proxy.halfClose("toClient");
    await until(() => client.events.includes("end"));
    served.socket.write("thrown away");
    client.socket.write("still heard");
    await served.untilText("still heard");
    expect([client.text, served.events]).toEqual(["", []]);
  });

  test("to the server: it sees the end, and its answers still go through", async () => {
    const [client, served] = await connected();
    proxy.halfClose("toServer");
    await until(() => served.events.includes("end"));
    client.socket.write("thrown away");
    served.socket.write("still heard");
    await client.untilText("still heard");
    expect([served.text, client.events]).toEqual(["", []]);
  });
});

test("a connection that was half closed is forgotten when both ends have closed it", async () => {
  const [client, served] = await connected();
  proxy.blackHole();
  client.socket.end("thrown away");
  await roundTrip();
  proxy.halfClose("toServer");
  await proxy.heal();
  served.socket.end();
  await until(() => proxy.connections === 0, { message: "the connection is forgotten" });
});

describe("down", () => {
  test("cuts what is open and refuses what comes, until up: on the same port", async () => {
    const { port } = proxy;
    const [client] = await connected();
    await proxy.down();
    await until(() => client.events.includes("close"));
    await expect(dial()).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await proxy.up();
    await connected();
    expect(proxy.port).toBe(port);
  });

  test("is ended by heal too", async () => {
    await proxy.down();
    await proxy.heal();
    await connected();
  });

  test("is ended for all who wait for that", async () => {
    await proxy.down();
    void proxy.up();
    await proxy.up();
    await connected();
  });

  test.each(["down", "close"] as const)(
    "comes before it listens again: up and heal resolve, also by %s",
    async (by) => {
      await proxy.down();
      const rising = [proxy.up(), proxy.heal()];
      await proxy[by]();
      await Promise.all(rising);
      await expect(dial()).rejects.toMatchObject({ code: "ECONNREFUSED" });
    },
  );
});

test("a closed proxy refuses connections for good, and can be closed again", async () => {
  const [client] = await connected();
  await proxy.close();
  await proxy.close();
  await proxy.heal();
  await until(() => client.events.includes("close"));
  await expect(dial()).rejects.toMatchObject({ code: "ECONNREFUSED" });
});

test.each([
  ["http://127.0.0.1:80", "http:"],
  ["https://etcd.test:443/", "https:"],
  ["http://user:80@[::1]:0080?x", "http:"],
  [{ host: "127.0.0.1", port: 80 }, "http:"],
  [{ host: "::1", port: 2379 }, "http:"],
  [{ host: "[::1]", port: 2379 }, "http:"],
])("a target may be an IPv6 host, and name the port of its scheme: %j", async (target, protocol) => {
  await using other = await FaultProxy.start(target);
  expect(other.endpoint).toBe(`${protocol}//127.0.0.1:${other.port}`);
});

test.each([
  "http://127.0.0.1",
  "https://user:443@[::1]/:443",
  "nonsense",
  "etcd:2379",
  { host: "127.0.0.1", port: 0 },
  { host: "127.0.0.1", port: 65_536 },
  { host: "::1", port: Number.NaN },
  { host: "", port: 2379 },
])("a target without a host or a port is refused: %j", async (target) => {
  await expect(FaultProxy.start(target)).rejects.toThrow(TypeError);
});
