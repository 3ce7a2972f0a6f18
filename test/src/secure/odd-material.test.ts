import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

// Certificates and keys of which one half is wrong, or late, and servers on a port that URL leaves out.

let cluster: EtcdCluster;

beforeAll(async () => {
  cluster = await startEtcd({ tls: true });
});
afterAll(() => cluster?.close());

function tls() {
  if (!cluster.tls) throw new Error("the cluster has no TLS");
  return cluster.tls;
}

test.each(["cert", "key"] as const)("PEM that is none is refused before any I/O, also beside a file: %s", (part) => {
  const file = part === "cert" ? { keyFile: "/nowhere/key.pem" } : { certFile: "/nowhere/cert.pem" };
  expect(() => new EtcdClient({ endpoints: "https://127.0.0.1:1", tls: { [part]: "not PEM", ...file } })).toThrow(
    expect.objectContaining({ code: "ETCD_INVALID_OPTION", option: `tls.${part}` }),
  );
});

test("a CA in DER is reported as no PEM, rather than that the servers are of another CA", async () => {
  const { dir, certFile, keyFile } = tls();
  const ca = new X509Certificate(tls().ca).raw;
  expect(() => new EtcdClient({ endpoints: cluster.endpoints, tls: { ca } })).toThrow(
    expect.objectContaining({ option: "tls.ca", message: expect.stringContaining("has no PEM certificate") }),
  );
  const caFile = join(dir, "ca.der");
  await writeFile(caFile, ca);
  await using etcd = new EtcdClient({ endpoints: cluster.endpoints, tls: { caFile, certFile, keyFile } });
  expect(await etcdErrorOf(etcd.get("k"))).toMatchObject({
    message: expect.stringContaining("tls.caFile has no PEM certificate"),
  });
});

test("a certificate that is replaced before its key is waited out by what lives on, and reported by what does not", async () => {
  const folder = await mkdtemp(join(tmpdir(), "two-steps-"));
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const replace = async (file: string, text: string) => {
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  };
  try {
    const [before, after] = [await tls().issue(), await tls().issue()];
    await replace(certFile, before.cert);
    await replace(keyFile, before.key);
    await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
    await using writer = new EtcdClient(cluster.clientOptions);
    await using etcd = new EtcdClient({
      endpoints: proxy.endpoint,
      tls: { caFile: tls().caFile, certFile, keyFile },
      requestTimeoutMs: 20_000,
    });
    const mirror = etcd.mirror("k");
    await mirror.ready;
    const lease = await etcd.grantLease(30);

    await replace(certFile, after.cert);
    proxy.cut();
    await until(() => mirror.status === "stale");
    const received = await etcdErrorOf(etcd.get("k"));
    // By the next look at the files as well.
    await until(async () => (await etcdErrorOf(etcd.get("k"))) !== received);
    expect(received).toMatchObject({
      code: "ETCD_UNAVAILABLE",
      retryable: true,
      outcomeUnknown: false,
      message: expect.stringContaining("tls.keyFile is not the key of the certificate"),
    });
    await writer.put("k", "meanwhile");

    await replace(keyFile, after.key);
    await until(() => mirror.status === "live" && mirror.get("k")?.text === "meanwhile");
    await until(async () => (await outcomeOf(etcd.put("k", "v", { lease }))).error === undefined);
    expect(lease.signal.aborted).toBe(false);
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** Where a server may listen on a port below 1024, if anywhere here. */
async function listenOn443(): Promise<Server | undefined> {
  const server = createServer((socket: Socket) => {
    socket.on("error", () => {});
    socket.once("data", ([first]) => {
      if (first === 0x16) socket.destroy();
      else socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
  });
  server.listen(443, "127.0.0.1");
  try {
    await once(server, "listening");
    return server;
  } catch {
    return undefined;
  }
}

test("a server without TLS on the port of https is reported as such, too", async (context) => {
  const server = await listenOn443();
  if (!server) return context.skip("port 443 is not to be had");
  try {
    await using etcd = new EtcdClient({ endpoints: "https://127.0.0.1:443", requestTimeoutMs: 3_000 });
    expect(await etcdErrorOf(etcd.get("k"))).toMatchObject({
      message: expect.stringContaining("https://127.0.0.1:443: it speaks no TLS"),
    });
  } finally {
    server.close();
  }
});
