import { once } from "node:events";
import { type ClientHttp2Session, connect, createServer, type Http2Server } from "node:http2";
import * as net from "node:net";
import { afterEach, expect, test } from "vitest";
import { finishServer, followConnections } from "../../../recipes/lifecycle/finish-server.ts";
import { systemClock } from "../../../src/internal/index.ts";

const open: { destroy(): unknown }[] = [];
const hour = 3_600_000;

afterEach(() => {
  for (const one of open.splice(0)) one.destroy();
});

async function listening<Server extends net.Server | Http2Server>(
  server: Server,
): Promise<{ server: Server; port: number }> {
  followConnections(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as net.AddressInfo).port };
}

async function sessionOf(port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  open.push(session);
  await once(session, "remoteSettings");
  return session;
}

test("an idle client of HTTP/2 holds nothing up", async () => {
  const { server, port } = await listening(createServer());
  const session = await sessionOf(port);
  const closed = once(session, "close");
  expect(await finishServer(server, systemClock, hour)).toBe(true);
  await closed;
});

test("requests of HTTP/2 are finished, and then their session ends", async () => {
  const { server, port } = await listening(createServer());
  const session = await sessionOf(port);
  const answering = once(server, "stream");
  const request = session.request({ ":path": "/" });
  const [stream] = await answering;
  const finished = finishServer(server, systemClock, hour);
  await once(session, "goaway");
  stream.respond({ ":status": 200 });
  stream.end("answered");
  expect((await request.setEncoding("utf8").toArray()).join("")).toBe("answered");
  expect(await finished).toBe(true);
});

test("a request of HTTP/2 that hangs is destroyed when its time is over", async () => {
  const { server, port } = await listening(createServer());
  const session = await sessionOf(port);
  const answering = once(server, "stream");
  const request = session.request({ ":path": "/" });
  request.on("error", () => {});
  await answering;
  const closed = once(session, "close");
  expect(await finishServer(server, systemClock, 50)).toBe(false);
  await closed;
});

test("a connection of node:net that stays is destroyed when its time is over", async () => {
  const { server, port } = await listening(net.createServer());
  const accepted = once(server, "connection");
  const socket = net.connect(port, "127.0.0.1");
  socket.on("error", () => {});
  open.push(socket);
  await accepted;
  const closed = once(socket.resume(), "close");
  expect(await finishServer(server, systemClock, 50)).toBe(false);
  await closed;
});
