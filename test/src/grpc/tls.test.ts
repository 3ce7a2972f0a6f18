import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSecureContext, createServer, type TlsOptions as ServerTls, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ConnectionError, connect, type GrpcConnection, TlsSession } from "../../../src/grpc/index.ts";
import { systemClock, type Timer } from "../../../src/internal/clock.ts";
import { type Certificate, CertificateAuthority } from "../../../testing/certificate-authority.ts";
import { ask } from "../../support/grpc-lab.ts";
import { startGrpcServer } from "../../support/grpc-server.ts";
import { ping, settings } from "../../support/http2-frames.ts";
import { ScriptedServer } from "../../support/scripted-server.ts";
import { until } from "../../support/until.ts";

const folder = mkdtempSync(join(tmpdir(), "etcd-recipes-grpc-tls-"));
let authority: CertificateAuthority;
let other: CertificateAuthority;
let forServer: Certificate;
let forClient: Certificate;

beforeAll(async () => {
  [authority, other] = await Promise.all([
    CertificateAuthority.create(join(folder, "ca"), "the CA"),
    CertificateAuthority.create(join(folder, "other"), "another CA"),
  ]);
  forServer = await authority.issue({ names: ["localhost", "etcd.test", "127.0.0.1"] });
  forClient = await authority.issue({ commonName: "client" });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const whyNot = (...dial: Parameters<typeof connect>): Promise<ConnectionError> =>
  connect(...dial).then(
    () => expect.fail("it connected"),
    (error) => error,
  );

/** A server of TLS that leaves the rest to the test. */
async function startTls(options: ServerTls, onSocket: (socket: TLSSocket) => void = () => {}) {
  const sockets: Socket[] = [];
  const server = createServer({ ...options, cert: forServer.cert, key: forServer.key });
  server.on("connection", (socket: Socket) => sockets.push(socket.on("error", () => {})));
  server.on("secureConnection", (socket) => {
    socket.on("error", () => {});
    onSocket(socket);
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    target: { host: "127.0.0.1", port: (server.address() as AddressInfo).port },
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function startSecure(more: object = {}) {
  return startGrpcServer(undefined, { cert: forServer.cert, key: forServer.key, ...more }, true);
}

describe("calls over TLS", () => {
  test("with the CA, by PEM and by a context of the caller's", async () => {
    await using server = await startSecure();
    for (const tls of [{ ca: authority.ca }, { secureContext: createSecureContext({ ca: authority.ca }) }]) {
      const connection = await connect(server.target, { tls });
      const large = Buffer.alloc(1_000_000, "x");
      expect((await ask(connection, "/a", Buffer.from("hello"))).answer).toBe("hello");
      expect((await ask(connection, "/a", large)).bytes?.equals(large)).toBe(true);
      connection.destroy();
    }
  });

  test("with a certificate of the client", async () => {
    await using server = await startSecure({ ca: authority.ca, requestCert: true, rejectUnauthorized: true });
    const { cert, key } = forClient;
    const connection = await connect(server.target, { tls: { ca: authority.ca, cert, key: Buffer.from(key) } });
    expect((await ask(connection, "/a", Buffer.from("hello"))).answer).toBe("hello");
    connection.destroy();
  });

  test("the scheme of the requests is https", async () => {
    const schemes: unknown[] = [];
    const { cert, key } = forServer;
    const answer = (stream: { close(): void }, headers: object) => {
      schemes.push((headers as { ":scheme": string })[":scheme"]);
      stream.close();
    };
    await using server = await startGrpcServer(answer, { cert, key }, true);
    const connection = await connect(server.target, { tls: { ca: authority.ca } });
    await ask(connection);
    expect(schemes).toEqual(["https"]);
    connection.destroy();
  });
});

test("however many pings a peer sends over hours: it reads the answers, so they are no flood", async () => {
  const peers: TLSSocket[] = [];
  await using server = await startTls({ ALPNProtocols: ["h2"] }, (socket) => {
    peers.push(socket.resume());
    socket.write(settings());
  });
  let nowMs = 0;
  const now = () => nowMs;
  const never: Timer = { cancel() {}, unref: () => never };
  const clock = { monotonicMs: now, elapsedMs: now, wallMs: now, timer: () => never };
  const connection = await connect(server.target, { tls: { ca: authority.ca }, clock });
  // Fewer bytes than a socket counts as full: it never says that it has drained.
  const pings = Buffer.concat(Array.from({ length: 500 }, () => ping()));
  for (let round = 0; round < 22; round++) {
    nowMs += 5_000_000;
    const before = connection.counters.bytesRead;
    peers[0]?.write(pings);
    await until(() => connection.status !== "open" || connection.counters.bytesRead >= before + pings.length);
  }
  expect(connection.status).toBe("open");
  connection.destroy();
});

describe("the name", () => {
  async function askedNames(dial: (target: { host: string; port: number }) => Promise<GrpcConnection>) {
    const names: (string | false | null)[] = [];
    const warnings: string[] = [];
    const onWarning = ({ message }: Error) => warnings.push(message);
    process.on("warning", onWarning);
    await using server = await startTls({ ALPNProtocols: ["h2"] }, (socket) => {
      names.push(socket.servername);
      socket.write(settings());
    });
    (await dial(server.target)).destroy();
    await new Promise(setImmediate);
    process.off("warning", onWarning);
    return { names, warnings };
  }

  test("of a host is asked for and looked for", async () => {
    const dial = ({ port }: { port: number }) => connect({ host: "localhost", port }, { tls: { ca: authority.ca } });
    expect(await askedNames(dial)).toEqual({ names: ["localhost"], warnings: [] });
  });

  test("of the option goes before that of the host", async () => {
    const tls = () => ({ ca: authority.ca, servername: "etcd.test" });
    expect(await askedNames((target) => connect(target, { tls: tls() }))).toEqual({
      names: ["etcd.test"],
      warnings: [],
    });
  });

  test("that is an address is looked for, and not asked for, without a warning", async () => {
    const byTarget = await askedNames((target) => connect(target, { tls: { ca: authority.ca } }));
    expect(byTarget).toEqual({ names: [false], warnings: [] });
    const tls = () => ({ ca: authority.ca, servername: "127.0.0.1" });
    const byOption = await askedNames(({ port }) => connect({ host: "localhost", port }, { tls: tls() }));
    expect(byOption).toEqual({ names: [false], warnings: [] });
  });

  test("that the certificate does not have is refused, a name and an address alike", async () => {
    await using server = await startSecure();
    const { target } = server;
    for (const servername of ["other.test", "10.9.8.7"]) {
      const error = await whyNot(target, { tls: { ca: authority.ca, servername } });
      expect(error).toMatchObject({ reason: "tls", cause: { code: "ERR_TLS_CERT_ALTNAME_INVALID" } });
    }
  });
});

describe("there is no connection, and the reason is said", () => {
  test("a certificate of another CA", async () => {
    await using server = await startSecure();
    const error = await whyNot(server.target, { tls: { ca: other.ca } });
    expect(error.reason).toBe("tls");
    expect(error.message).toMatch(/certificate/);
  });

  test("a certificate that has expired", async () => {
    const { cert, key } = await authority.issue({ names: ["127.0.0.1"], days: -1 });
    await using server = await startSecure({ cert, key });
    const error = await whyNot(server.target, { tls: { ca: authority.ca } });
    expect(error).toMatchObject({ reason: "tls", message: expect.stringContaining("expired") });
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "a server of %s that wants a certificate and gets none",
    async (maxVersion) => {
      await using server = await startSecure({
        ca: authority.ca,
        requestCert: true,
        rejectUnauthorized: true,
        maxVersion,
      });
      const error = await whyNot(server.target, { tls: { ca: authority.ca } });
      // In 1.3 the client has connected before the server looks at its certificate.
      expect(["tls", "reset"]).toContain(error.reason);
    },
  );

  test("a server that refuses the certificate by an alert", async () => {
    const { cert, key } = await other.issue({ commonName: "stranger" });
    await using server = await startTls({
      ca: authority.ca,
      requestCert: true,
      rejectUnauthorized: true,
      maxVersion: "TLSv1.2",
    });
    const error = await whyNot(server.target, { tls: { ca: authority.ca, cert, key } });
    expect(error.reason).toBe("tls");
  });

  test("a server of TLS without ALPN", async () => {
    await using server = await startTls({});
    const error = await whyNot(server.target, { tls: { ca: authority.ca } });
    expect(error).toMatchObject({ reason: "not-http2", message: expect.stringContaining("ALPN") });
  });

  test("a server of TLS with HTTP/1 only", async () => {
    await using server = await startTls({ ALPNProtocols: ["http/1.1"] });
    const error = await whyNot(server.target, { tls: { ca: authority.ca } });
    expect(error).toMatchObject({ reason: "not-http2", message: expect.stringContaining("ALPN") });
  });

  test("a server of too old a TLS", async () => {
    await using server = await startTls({ minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" });
    const error = await whyNot(server.target, { tls: { ca: authority.ca } });
    expect(error).toMatchObject({ reason: "tls", message: expect.stringContaining("TLS handshake failed") });
  });

  test("a server without TLS that speaks first", async () => {
    await using server = await ScriptedServer.start();
    const dial = whyNot(server.target, { tls: { ca: authority.ca } });
    await until(() => server.peers[0]?.socket.write(settings()));
    expect(await dial).toMatchObject({ reason: "tls", message: expect.stringContaining("does not speak TLS") });
  });

  test("a server without TLS that answers HTTP/1", async () => {
    await using server = await ScriptedServer.start();
    const dial = whyNot(server.target, { tls: { ca: authority.ca } });
    await until(() => server.peers[0]?.socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    expect(await dial).toMatchObject({ reason: "tls", message: expect.stringContaining("does not speak TLS") });
  });

  test("a server without TLS that hangs up", async () => {
    await using server = await ScriptedServer.start();
    const dial = whyNot(server.target, { tls: { ca: authority.ca } });
    await until(() => server.peers[0]?.socket.end());
    expect(await dial).toMatchObject({ reason: "tls", message: expect.stringContaining("does it speak TLS?") });
  });

  test("a server that says nothing in the handshake", async () => {
    await using server = await ScriptedServer.start();
    const error = await whyNot(server.target, { tls: { ca: authority.ca }, connectTimeoutMs: 50 });
    expect(error).toMatchObject({ reason: "timeout", message: "no TLS handshake within 50 ms" });
    await until(() => server.peers.every((peer) => peer.ended));
  });

  test("a server of TLS that was addressed without", async () => {
    await using server = await startTls({ ALPNProtocols: ["h2"] });
    const error = await whyNot(server.target);
    expect(["not-http2", "reset"]).toContain(error.reason);
    expect(error.message).toMatch(/speaks TLS|speak TLS\?/);
  });
});

describe("a session", () => {
  test.each(["TLSv1.2", "TLSv1.3"] as const)("of %s is resumed by the next dial that shares it", async (version) => {
    const reused: boolean[] = [];
    await using server = await startSecure({ minVersion: version, maxVersion: version });
    server.server.on("secureConnection", (socket: TLSSocket) => reused.push(socket.isSessionReused()));
    const session = new TlsSession();
    for (let round = 0; round < 3; round++) {
      const connection = await connect(server.target, { tls: { ca: authority.ca, session } });
      expect((await ask(connection, "/a", Buffer.from("hello"))).answer).toBe("hello");
      await until(() => session.ticketAt(Date.now()));
      connection.destroy();
    }
    const alone = await connect(server.target, { tls: { ca: authority.ca } });
    alone.destroy();
    expect(reused).toEqual([false, true, true, false]);
  });

  test("ends with the certificate that it began with", async () => {
    const reused: boolean[] = [];
    await using server = await startSecure();
    server.server.on("secureConnection", (socket: TLSSocket) => reused.push(socket.isSessionReused()));
    const session = new TlsSession();
    for (const days of [0, 0, 31]) {
      const clock = { ...systemClock, wallMs: () => Date.now() + days * 24 * 3_600_000 };
      const connection = await connect(server.target, { tls: { ca: authority.ca, session }, clock });
      expect((await ask(connection, "/a", Buffer.from("hello"))).answer).toBe("hello");
      await until(() => session.ticketAt(Date.now()));
      connection.destroy();
    }
    expect(reused).toEqual([false, true, false]);
  });

  test("that the server has forgotten is no harm", async () => {
    const session = new TlsSession();
    for (let round = 0; round < 2; round++) {
      await using server = await startSecure();
      const connection = await connect(server.target, { tls: { ca: authority.ca, session } });
      expect((await ask(connection, "/a", Buffer.from("hello"))).answer).toBe("hello");
      connection.destroy();
    }
  });

  test("that is rubbish is no harm for more than a dial", async () => {
    await using server = await startSecure();
    const session = new TlsSession();
    session.keep(Buffer.from("rubbish"), new Date(Date.now() + 60_000).toUTCString());
    const dial = () => connect(server.target, { tls: { ca: authority.ca, session } });
    const connection = await dial().catch(dial);
    expect((await ask(connection, "/a", Buffer.from("hello"))).answer).toBe("hello");
    connection.destroy();
  });
});

test("a certificate that was replaced is used by the next dial", async () => {
  const users: unknown[] = [];
  await using server = await startSecure({ ca: authority.ca, requestCert: true, rejectUnauthorized: true });
  server.server.on("secureConnection", (socket: TLSSocket) => users.push(socket.getPeerCertificate().subject?.CN));
  const replaced = await authority.issue({ commonName: "replaced" });
  for (const { cert, key } of [forClient, replaced]) {
    // A session has the identity of the connection that it is of, so each certificate has its own.
    const session = new TlsSession();
    for (let round = 0; round < 2; round++) {
      const connection = await connect(server.target, { tls: { ca: authority.ca, cert, key, session } });
      await ask(connection);
      await until(() => session.ticketAt(Date.now()));
      connection.destroy();
    }
  }
  expect(users).toEqual(["client", "client", "replaced", "replaced"]);
});
