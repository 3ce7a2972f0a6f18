import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ConnectionError, type ConnectOptions, connect, type Target } from "../../../src/grpc/index.ts";
import { startDeafServer } from "../../support/deaf-server.ts";
import { ask } from "../../support/grpc-lab.ts";
import { answer, frame, ping, settings, type } from "../../support/http2-frames.ts";
import { ScriptedServer } from "../../support/scripted-server.ts";
import { until } from "../../support/until.ts";

/** Why there is no connection. */
async function whyNot(target: Target, options: ConnectOptions = {}): Promise<ConnectionError> {
  const onEnd = () => expect.fail("a connection that never was has no end");
  const error: unknown = await connect(target, { ...options, onEnd, onDraining: onEnd }).then(
    () => expect.fail("it connected"),
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(ConnectionError);
  return error as ConnectionError;
}

const folder = mkdtempSync(join(tmpdir(), "etcd-recipes-grpc-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("there is no connection, and the reason is said", () => {
  test("refused", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, "close");
    const error = await whyNot({ host: "127.0.0.1", port });
    expect(error).toMatchObject({ reason: "refused", message: expect.stringContaining("ECONNREFUSED") });
  });

  test("refused, by each address of a name", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, "close");
    const error = await whyNot({ host: "localhost", port });
    expect(error).toMatchObject({ reason: "refused", message: expect.stringContaining("ECONNREFUSED") });
  });

  test("refused: a unix socket that is not there", async () => {
    const error = await whyNot({ path: join(folder, "none") });
    expect(error).toMatchObject({ reason: "refused", message: expect.stringContaining("ENOENT") });
  });

  test("a name without an address", async () => {
    expect(await whyNot({ host: "none.invalid", port: 1 })).toMatchObject({ reason: "unresolved" });
  });

  test("a host that drops every packet", async () => {
    await using server = await startDeafServer();
    const { hostname: host, port } = new URL(server.endpoint);
    const error = await whyNot({ host, port: Number(port) }, { connectTimeoutMs: 50 });
    expect(error).toMatchObject({ reason: "timeout", message: "no connection within 50 ms" });
  });

  test("a server that accepts and says nothing", async () => {
    await using server = await ScriptedServer.start();
    const error = await whyNot(server.target, { settingsTimeoutMs: 50 });
    expect(error).toMatchObject({ reason: "silent", message: "the server sent no SETTINGS within 50 ms" });
    await until(() => server.peers[0]?.ended);
  });

  test("a server that closes before it has said anything", async () => {
    await using server = await ScriptedServer.start();
    const dial = whyNot(server.target);
    (await server.accept()).socket.end();
    expect(await dial).toMatchObject({ reason: "reset", message: expect.stringContaining("before it sent SETTINGS") });
  });

  test("a server that resets the connection before it has said anything", async () => {
    await using server = await ScriptedServer.start();
    const dial = whyNot(server.target);
    (await server.accept()).socket.resetAndDestroy();
    expect(await dial).toMatchObject({ reason: "reset" });
  });

  test.each([
    ["HTTP/1", "HTTP/1.1 400 Bad Request\r\n\r\n", /does not speak HTTP\/2.*"HTTP\/1.1 400 Bad Request"/],
    ["HTTP/1 of few bytes", "HTTP/1.1", /"HTTP\/1.1"/],
    ["SSH", "SSH-2.0-OpenSSH_9.2\r\n", /"SSH-2.0-OpenSSH_9.2"/],
    ["TLS: an alert of seven bytes", "\x15\x03\x01\x00\x02\x02\x16", /speaks TLS/],
    ["TLS: a handshake", "\x16\x03\x03\x00\x2a\x01\x00\x00\x26\x03\x03", /speaks TLS/],
    ["noise", "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09", /it sent 00010203040506070809/],
    ["HTTP/2, but no SETTINGS first", ping().toString("latin1"), /it sent 0000080600/],
    ["an acknowledgement first", frame(type.SETTINGS, 1).toString("latin1"), /it sent 000000040100000000/],
    ["SETTINGS of a stream", frame(type.SETTINGS, 0, 1).toString("latin1"), /it sent/],
  ])("%s instead of HTTP/2", async (_, bytes, words) => {
    await using server = await ScriptedServer.start();
    const dial = whyNot(server.target);
    (await server.accept()).socket.end(Buffer.from(bytes, "latin1"));
    const error = await dial;
    expect(error.reason).toBe("not-http2");
    expect(error.message).toMatch(words);
  });

  test("SETTINGS that break a rule", async () => {
    await using server = await ScriptedServer.start();
    const dial = whyNot(server.target);
    const peer = await server.accept();
    peer.send(settings([5, 1]));
    expect(await dial).toMatchObject({ reason: "protocol", http2Code: 1 });
    expect((await peer.next(type.GOAWAY)).payload.readUInt32BE(4)).toBe(1);
  });

  test("SETTINGS that are too large", async () => {
    await using server = await ScriptedServer.start();
    const dial = whyNot(server.target);
    (await server.accept()).send(frame(type.SETTINGS, 0, 0, Buffer.alloc(16_386)));
    expect(await dial).toMatchObject({ reason: "protocol", http2Code: 6 });
  });

  test("the dial was given up, before and during it", async () => {
    await using server = await ScriptedServer.start();
    const reason = new Error("no longer");
    const early = await whyNot(server.target, { signal: AbortSignal.abort(reason) });
    expect(early).toMatchObject({ reason: "closed", cause: reason });
    const controller = new AbortController();
    const dial = whyNot(server.target, { signal: controller.signal });
    await until(() => server.peers.length > 0);
    controller.abort(reason);
    expect(await dial).toMatchObject({ reason: "closed", cause: reason });
    await until(() => server.peers.every((peer) => peer.ended));
  });
});

test("the signal of the dial has no effect on a connection that is up", async () => {
  await using server = await ScriptedServer.start();
  const controller = new AbortController();
  const dial = connect(server.target, { signal: controller.signal });
  const peer = await server.greet();
  const connection = await dial;
  controller.abort();
  const call = ask(connection);
  await peer.next(type.DATA);
  peer.send(answer(1));
  expect((await call).answer).toBe("answer");
  connection.destroy();
});

test("settings that come byte by byte are settings", async () => {
  await using server = await ScriptedServer.start();
  const dial = connect(server.target);
  const { socket } = await server.accept();
  socket.setNoDelay(true);
  for (const byte of settings([4, 100])) {
    socket.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  const connection = await dial;
  expect(connection.status).toBe("open");
  connection.destroy();
});

test("what comes together with the settings is read, too", async () => {
  await using server = await ScriptedServer.start();
  const dial = connect(server.target);
  const peer = await server.accept();
  peer.send(settings(), ping("together"));
  const connection = await dial;
  expect((await peer.next(type.PING)).payload.toString()).toBe("together");
  connection.destroy();
});

test("a unix socket", async () => {
  const path = join(folder, "socket");
  await using server = await ScriptedServer.start(path);
  const dial = connect({ path });
  const peer = await server.greet();
  const connection = await dial;
  const call = ask(connection);
  const { payload } = await peer.next(type.HEADERS);
  expect(payload.toString("latin1")).toContain("localhost");
  await peer.next(type.DATA);
  peer.send(answer(1));
  expect((await call).answer).toBe("answer");
  connection.destroy();
});

test("IPv6, and the authority has its brackets", async () => {
  await using server = await ScriptedServer.start({ host: "::1", port: 0 });
  const dial = connect(server.target);
  const peer = await server.greet();
  const connection = await dial;
  void ask(connection);
  expect((await peer.next(type.HEADERS)).payload.toString("latin1")).toContain(`[::1]:${server.target.port}`);
  connection.destroy();
});

test("of a name with several addresses the one that answers is taken", async () => {
  // localhost is 127.0.0.1 and ::1 on most machines; the server listens on one of the two.
  await using server = await ScriptedServer.start();
  const dial = connect({ host: "localhost", port: server.target.port });
  await server.greet();
  (await dial).destroy();
});
