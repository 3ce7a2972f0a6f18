import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { connect } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type ClusterTls,
  type EtcdCluster,
  FaultProxy,
  findEtcd,
  OpensslNotFoundError,
  startEtcd,
} from "../../testing/index.ts";
import { until } from "../support/until.ts";
import { GatewayUser, refusal } from "./secure-call.ts";

describe("three members under mutual TLS", () => {
  let cluster: EtcdCluster;
  let tls: ClusterTls;
  let client: GatewayUser;

  beforeAll(async () => {
    cluster = await startEtcd({ members: 3, tls: true });
    tls = cluster.tls as ClusterTls;
    client = new GatewayUser(cluster);
  });
  afterAll(() => cluster.close());

  test("each member's certificate is trusted by its CA and for its own names alone", async () => {
    const other = await tls.other();
    for (const { endpoint, name, index } of cluster.members) {
      expect(endpoint).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
      for (const servername of ["localhost", `${name}.etcd.test`, ""]) {
        expect(await refusal(endpoint, { ca: tls.ca, servername })).toBeUndefined();
      }
      const neighbour = cluster.member((index + 1) % 3).name;
      expect(await refusal(endpoint, { ca: tls.ca, servername: `${neighbour}.etcd.test` })).toBe(
        "ERR_TLS_CERT_ALTNAME_INVALID",
      );
      expect(await refusal(endpoint, { ca: other.ca })).toBe("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    }
  });

  test("members answer clients with a certificate of the CA, and no others", async () => {
    const { endpoint } = cluster.member(0);
    const [own, foreign, expired] = await Promise.all([
      tls.issue({ commonName: "someone" }),
      tls.issue({ ca: "other" }),
      tls.issue({ days: -1 }),
    ]);
    expect(await status(endpoint, tls, tls)).toBe(200);
    expect(await status(endpoint, tls, own)).toBe(200);
    for (const refused of [{}, foreign, expired]) await expect(status(endpoint, tls, refused)).rejects.toThrow();
  });

  test("the files are as the strings say, and no other user can read the keys", async () => {
    for (const [file, text] of [
      [tls.caFile, tls.ca],
      [tls.certFile, tls.cert],
      [tls.keyFile, tls.key],
    ] as const) {
      expect(dirname(file)).toBe(tls.dir);
      expect(await readFile(file, "utf8")).toBe(text);
    }
    await tls.issue({ ca: "other" });
    const files = (await readdir(tls.dir, { recursive: true })).filter((file) => file.endsWith(".key"));
    expect(files.length).toBeGreaterThanOrEqual(6);
    for (const file of files) expect((await stat(join(tls.dir, file))).mode & 0o777).toBe(0o600);
    for (const folder of [".", "other", ".."]) expect((await stat(join(tls.dir, folder))).mode & 0o777).toBe(0o700);
    expect(cluster.clientOptions).toEqual({
      endpoints: cluster.endpoints,
      tls: { caFile: tls.caFile, certFile: tls.certFile, keyFile: tls.keyFile },
    });
  });

  test("everything that breaks and restores members works", { timeout: 120_000 }, async () => {
    const [first, second, third] = [cluster.member(0), cluster.member(1), cluster.member(2)];
    await client.put(first.endpoint, "kept", "1");
    await first.pause();
    await expect(client.get(first.endpoint, "kept")).rejects.toThrow();
    await first.resume();
    await second.kill();
    await expect(client.get(second.endpoint, "kept")).rejects.toThrow();
    await second.restart();
    expect(await client.get(second.endpoint, "kept")).toBe("1");
    expect((await cluster.moveLeader(2)).index).toBe(2);
    await third.isolate();
    expect((await cluster.leader()).index).not.toBe(2);
    await third.heal();
    await third.replace();
    expect(await client.get(third.endpoint, "kept")).toBe("1");
    await client.put(first.endpoint, "kept", "2");
    await cluster.compact(2);
    await cluster.kill();
    await cluster.restart();
    expect(await client.get(first.endpoint, "kept")).toBe("2");
    await cluster.wipe();
    expect(await client.get(first.endpoint, "kept")).toBeUndefined();
  });

  test("a fault proxy in front of a member passes its certificate on", async () => {
    await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
    expect(proxy.endpoint).toMatch(/^https:/);
    expect(await refusal(proxy.endpoint, { ca: tls.ca, servername: "" })).toBeUndefined();
    await client.put(proxy.endpoint, "through", "the proxy");
    expect(await client.get(proxy.endpoint, "through")).toBe("the proxy");
  });

  // The last one: it leaves a member with a name of its own.
  test("a member's certificate can be replaced while it runs, and lasts over a restart", async () => {
    const member = cluster.member(1);
    await tls.replaceMember(1, { days: -1 });
    expect(await refusal(member.endpoint, { ca: tls.ca })).toBe("CERT_HAS_EXPIRED");
    await tls.replaceMember(1, { ca: "other" });
    expect(await refusal(member.endpoint, { ca: tls.ca })).toBe("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    await tls.replaceMember(1, { names: ["elsewhere.test"] });
    for (const restarted of [false, true]) {
      if (restarted) await member.restart();
      expect(await refusal(member.endpoint, { ca: tls.ca })).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
      expect(await refusal(member.endpoint, { ca: tls.ca, servername: "elsewhere.test" })).toBeUndefined();
    }
    expect(await refusal(cluster.member(0).endpoint, { ca: tls.ca })).toBeUndefined();
    await cluster.leader();
    await tls.replaceMember(1);
    expect(await refusal(member.endpoint, { ca: tls.ca })).toBeUndefined();
  });

  test("a certificate that makes no sense is refused", async () => {
    const wrong = [
      { days: 0 },
      { days: 1.5 },
      { names: ["a b"] },
      { names: ["a,DNS:b"] },
      { names: [""] },
      { commonName: "" },
      { commonName: "two\nlines" },
      { commonName: "x".repeat(65) },
      { ca: "none" as "other" },
    ];
    for (const options of wrong) await expect(tls.issue(options)).rejects.toThrow(RangeError);
    await expect(tls.replaceMember(3)).rejects.toThrow(RangeError);
  });
});

test("without client certificates a member serves whom it does not know; its names are the caller's", async () => {
  await using cluster = await startEtcd({
    tls: { clientCertificates: false, names: () => ["only.test", "127.0.0.1"] },
  });
  const { tls } = cluster;
  if (tls === undefined) throw new Error("there is no TLS");
  const { endpoint } = cluster.member(0);
  expect(await status(endpoint, tls, {}, "only.test")).toBe(200);
  expect(await refusal(endpoint, { ca: tls.ca, servername: "localhost" })).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
});

test("the certificates go with the cluster", async () => {
  const cluster = await startEtcd({ tls: true });
  const { dir } = cluster.tls as ClusterTls;
  await cluster.close();
  await expect(stat(dir)).rejects.toThrow("ENOENT");
});

test("a machine without openssl gets a clear error, and nothing is left", async () => {
  const path = process.env.PATH;
  const temporary = process.env.TMPDIR;
  const [empty, folder] = [await mkdtemp(join(tmpdir(), "no-openssl-")), await mkdtemp(join(tmpdir(), "left-"))];
  const { path: binary } = await findEtcd();
  process.env.PATH = empty;
  process.env.TMPDIR = folder;
  try {
    const error = await startEtcd({ binary, tls: true }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(OpensslNotFoundError);
    expect(error).toMatchObject({ code: "ETCD_OPENSSL_NOT_FOUND", message: expect.stringContaining("openssl") });
    await until(async () => (await readdir(folder)).length === 0, { message: "the folder is removed" });
  } finally {
    process.env.PATH = path;
    if (temporary === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = temporary;
    await Promise.all([empty, folder].map((made) => rm(made, { recursive: true })));
  }
});

test("options of tls that cannot be are refused before anything starts", async () => {
  const start = (tls: unknown) => startEtcd({ tls: tls as boolean });
  for (const tls of ["yes", 1, null, { clientCertificates: "no" }, { names: ["a"] }]) {
    await expect(start(tls)).rejects.toThrow(TypeError);
  }
  for (const tls of [{ clientCertificate: true }, { names: () => ["a b"] }]) {
    await expect(start(tls)).rejects.toThrow(RangeError);
  }
});

/**
 * The HTTP status of /version. A member that refuses a client's certificate says so only when it is asked something.
 */
async function status(
  endpoint: string,
  { ca }: ClusterTls,
  certificate: { cert?: string; key?: string } = {},
  servername = "localhost",
): Promise<number> {
  const { hostname, port } = new URL(endpoint);
  const socket = connect({ host: hostname, port: Number(port), ca, servername, ...certificate });
  try {
    await once(socket, "secureConnect");
    socket.write("GET /version HTTP/1.0\r\n\r\n");
    const [first] = (await once(socket, "data", { signal: AbortSignal.timeout(5_000) })) as [Buffer];
    return Number(first.toString().split(" ", 2)[1]);
  } finally {
    socket.destroy();
  }
}
