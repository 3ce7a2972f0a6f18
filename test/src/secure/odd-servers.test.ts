import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { inspect } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { EtcdClient } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { run } from "../../support/child.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

// What else may be behind an https:// endpoint, and what else may be given as a certificate or a key.

// Node warns once in a process.
const nodeWarnings: string[] = [];
process.on("warning", ({ message }) => nodeWarnings.push(message));

let cluster: EtcdCluster;
const made: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  cluster = await startEtcd({ tls: true });
});
afterEach(async () => {
  for (const close of made.splice(0).reverse()) await close();
});
afterAll(() => cluster?.close());

function tls() {
  if (!cluster.tls) throw new Error("the cluster has no TLS");
  return cluster.tls;
}

/** @returns its port */
async function listen(server: Server, host = "127.0.0.1", port = 0): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  server.listen(port, host);
  await once(server, "listening");
  made.push(async () => {
    if (!server.listening) return;
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return (server.address() as AddressInfo).port;
}

function secure(endpoints: string, requestTimeoutMs = 20_000): EtcdClient {
  const { caFile, certFile, keyFile } = tls();
  const etcd = new EtcdClient({ endpoints, tls: { caFile, certFile, keyFile }, requestTimeoutMs });
  made.push(() => etcd.close());
  return etcd;
}

test("a server of plain HTTP/1 behind https:// is reported as such, at once", async () => {
  const port = await listen(createHttpServer());
  const { error, tookMs } = await outcomeOf(secure(`https://127.0.0.1:${port}`).put("k", "v"));
  expect(error).toMatchObject({ code: "ETCD_UNAVAILABLE", message: expect.stringContaining("it speaks no TLS") });
  expect(tookMs).toBeLessThan(10_000);
});

test("a server that hangs up on the handshake, and answers everything else with an alert of TLS, is not reported as plain", async () => {
  const server = createServer((socket) => {
    socket.once("data", ([first]) => {
      if (first === 0x16) socket.destroy();
      else socket.end(Buffer.from([0x15, 0x03, 0x03, 0, 2, 2, 70]));
    });
  });
  const error = await etcdErrorOf(secure(`https://127.0.0.1:${await listen(server)}`, 1_000).get("k"));
  expect(error).toMatchObject({ code: "ETCD_UNAVAILABLE", message: expect.not.stringContaining("speaks") });
});

test("a server's certificate that it has signed itself is reported as not of a trusted CA", async () => {
  const subject = ["-subj", "/O=self", "-extensions", "names"];
  await openssl("req", "-x509", ...newKey("self.key"), ...subject, "-out", "self.pem");
  const port = await listen(createTlsServer(await read("self")));
  const etcd = secure(`https://127.0.0.1:${port}`);
  const { message } = await etcdErrorOf(etcd.get("k"));
  expect(message).toContain("its certificate is not of a CA that is trusted here");
  expect(message).toContain("self-signed certificate");
});

test("a server's certificate that is not valid yet is reported as such, at once", async () => {
  // By openssl's small CA: what it makes by a request alone begins now.
  await openssl("req", "-new", ...newKey("future.key"), "-subj", "/O=future", "-out", "future.csr");
  const dates = ["-startdate", "450101000000Z", "-enddate", "460101000000Z", "-extensions", "names"];
  const signing = ["-batch", "-rand_serial", "-notext", "-md", "sha256", "-cert", "ca.pem", "-keyfile", "ca.key"];
  await openssl("ca", ...signing, ...dates, "-in", "future.csr", "-out", "future.pem");
  const port = await listen(createTlsServer(await read("future")));
  const { error, tookMs } = await outcomeOf(secure(`https://127.0.0.1:${port}`).get("k"));
  expect(error).toMatchObject({ message: expect.stringContaining("its certificate is not valid yet") });
  expect(tookMs).toBeLessThan(10_000);
});

/** openssl without a word from the system's own configuration, which may not be there. */
async function openssl(...args: string[]): Promise<void> {
  const { dir } = tls();
  await writeFile(join(dir, "issued.txt"), "");
  await writeFile(
    join(dir, "odd.cnf"),
    `[ca]
default_ca=small
[small]
database=${dir}/issued.txt
serial=${dir}/issued.srl
new_certs_dir=${dir}
policy=any
[any]
organizationName=optional
[req]
distinguished_name=any
[names]
subjectAltName=IP:127.0.0.1
`,
  );
  await run("openssl", [...args, "-config", "odd.cnf"], { cwd: dir });
}

function newKey(file: string): string[] {
  return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", file];
}

async function read(name: string): Promise<{ cert: Buffer; key: Buffer }> {
  const [cert, key] = await Promise.all(["pem", "key"].map((type) => readFile(join(tls().dir, `${name}.${type}`))));
  return { cert, key } as { cert: Buffer; key: Buffer };
}

test("a server that hangs up on TLS, and is silent otherwise, holds up no dial for long", async () => {
  let dials = 0;
  const server = createServer((socket) => {
    // Each dial is followed by a question in plain text.
    socket.once("data", ([first]) => (first === 0x16 ? socket.destroy() : dials++));
  });
  const port = await listen(server);
  const { caFile } = tls();
  const etcd = new EtcdClient({ endpoints: `https://127.0.0.1:${port}`, tls: { caFile }, dialTimeoutMs: 60_000 });
  made.push(() => etcd.close());
  const get = outcomeOf(etcd.get("k", { timeoutMs: 20_000 }));
  await until(() => dials > 1);
  await etcd.close();
  expect((await get).error).toMatchObject({ code: "ETCD_CLOSED" });
});

test("where etcd was once reached over TLS it is waited for, whatever stands there meanwhile", async () => {
  await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
  const etcd = secure(proxy.endpoint);
  await etcd.put("k", "before");
  await proxy.down();
  let asked = 0;
  const plain = createHttpServer();
  plain.on("clientError", (_, socket) => {
    asked++;
    socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  await listen(plain, "127.0.0.1", proxy.port);
  const get = outcomeOf(etcd.get("k"));
  await until(() => asked > 1);
  plain.close();
  await proxy.up();
  expect((await get).value?.text).toBe("before");
});

const ipv6 = await new Promise<boolean>((resolve) => {
  const server = createServer();
  server.once("error", () => resolve(false));
  server.listen(0, "::1", () => server.close(() => resolve(true)));
});

test.skipIf(!ipv6)("a certificate is checked against an IPv6 address, too", async () => {
  const target = Number(new URL(cluster.member(0).endpoint).port);
  const port = await listen(
    createServer((socket) => {
      const through = connect(target, "127.0.0.1").on("error", () => socket.destroy());
      socket.on("close", () => through.destroy());
      socket.pipe(through).pipe(socket);
    }),
    "::1",
  );
  const endpoint = `https://[::1]:${port}`;
  expect(await etcdErrorOf(secure(endpoint).get("k"))).toMatchObject({
    message: expect.stringContaining("its certificate is for other names"),
  });
  await tls().replaceMember(0, { names: ["127.0.0.1", "::1"] });
  await secure(endpoint).put("k", "v");
});

test("servers that ask for no certificate get none", async () => {
  await using own = await startEtcd({ tls: { clientCertificates: false }, auth: true });
  const caFile = own.tls?.caFile;
  await using etcd = new EtcdClient({ ...own.clientOptions, tls: { caFile } });
  await etcd.put("k", "v");
  await etcd.watch("k").ready;
  await (await etcd.grantLease(5)).revoke();
});

/** With an empty passphrase its padding is right, by chance, and OpenSSL finds something that is no key. */
const encryptedByChance = `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAhNVsoZy8CzsgICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEGzC9WaW/jlG2izFvK4QB1QEgZDr
GxHHkYQ3t+a9VOznZaSYudcsxlmWs3m1UD3qu8eBop17Gt6F7fVRSMsA1U0ah1XK
Bq1XkCFN/uoGEarfjD6TYsfNU1cz6Cwtixqm7f3HS2mfA2NXzgzRP8dGaDbbaZQt
XWOqY8H0AHhXFq/Cz9DmfeuZsGofL+qu6b73inyJB95SlvboD2tPDvfDKsEzIcg=
-----END ENCRYPTED PRIVATE KEY-----
`;

describe("a certificate and its key", () => {
  test.each(["cert", "key"] as const)("may be one of them a file and the other PEM: %s", async (given) => {
    const { caFile, certFile, keyFile, cert, key } = tls();
    const options = given === "cert" ? { caFile, cert, keyFile } : { caFile, certFile, key };
    await using etcd = new EtcdClient({ endpoints: cluster.endpoints, tls: options });
    await etcd.put("k", "v");
  });

  test("that cannot be read are looked at once for a crowd of calls", async () => {
    const { caFile, certFile } = tls();
    const keyFile = "/nowhere/key.pem";
    await using etcd = new EtcdClient({ endpoints: cluster.endpoints, tls: { caFile, certFile, keyFile } });
    const errors = await Promise.all(Array.from({ length: 100 }, () => etcdErrorOf(etcd.range("k"))));
    // Each names its own call, and has in its cause what they share.
    expect(new Set(errors.map(({ cause }) => cause)).size).toBeLessThan(20);
  });

  test("are found not to be of one another also where one is in a file", async () => {
    const { caFile, cert } = tls();
    const { keyFile } = await tls().issue();
    await using etcd = new EtcdClient({ endpoints: cluster.endpoints, tls: { caFile, cert, keyFile } });
    expect(await etcdErrorOf(etcd.get("k"))).toMatchObject({
      message: expect.stringContaining("tls.keyFile is not the key of the certificate"),
    });
  });

  test("a key of another type, and one with a passphrase, are reported as what they are, and not shown", async () => {
    const { dir, caFile, cert, certFile } = tls();
    const pem = { type: "pkcs8", format: "pem" } as const;
    const another = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export(pem) as string;
    const encrypted = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
      ...pem,
      cipher: "aes-256-cbc",
      passphrase: "p",
    }) as string;
    const keyFile = join(dir, "another.key");
    const older = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
      type: "sec1",
      format: "pem",
      cipher: "aes-256-cbc",
      passphrase: "p",
    }) as string;
    const isEncrypted = "is encrypted: give it without a passphrase";
    for (const [key, problem] of [
      [another, "is not the key of the certificate: it is of another type"],
      [encrypted, isEncrypted],
      [older, isEncrypted],
      [encryptedByChance, isEncrypted],
    ] as const) {
      const endpoints = cluster.endpoints;
      expect(() => new EtcdClient({ endpoints, tls: { cert, key } })).toThrow(
        expect.objectContaining({ option: "tls.key", message: expect.stringContaining(problem) }),
      );
      await writeFile(keyFile, key);
      await using etcd = new EtcdClient({ endpoints, tls: { caFile, certFile, keyFile } });
      const error = await etcdErrorOf(etcd.get("k"));
      expect(error.message).toContain(`tls.keyFile ${problem}`);
      expect(inspect(error, { showHidden: true, depth: 9 })).not.toContain(key.split("\n")[1]);
    }
  });
});

test("through all of this Node has had nothing to warn of, such as an address that is given for a name", () => {
  expect(nodeWarnings).toEqual([]);
});
