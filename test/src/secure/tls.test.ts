import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type EtcdClientOptions, ServiceRegister } from "../../../recipes/index.ts";
import { EtcdClient, prefix } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

// Mutual TLS with three members, each with a certificate of its own.

let cluster: EtcdCluster;
let plainCluster: EtcdCluster;

beforeAll(async () => {
  [cluster, plainCluster] = await Promise.all([startEtcd({ members: 3, tls: true }), startEtcd()]);
});
afterAll(async () => {
  await cluster.close();
  await plainCluster.close();
});

function tls() {
  if (!cluster.tls) throw new Error("the cluster has no TLS");
  return cluster.tls;
}

const files = () => {
  const { caFile, certFile, keyFile } = tls();
  return { caFile, certFile, keyFile };
};

test("calls, watches and leases go over mutual TLS, from files and from PEM", async () => {
  const { ca, cert, key } = tls();
  for (const [name, options] of Object.entries({ files: files(), pem: { ca, cert, key } })) {
    await using etcd = new EtcdClient({ endpoints: cluster.endpoints, tls: options });
    const watch = etcd.watch(prefix(`${name}/`));
    await watch.ready;
    const lease = await etcd.grantLease(5);
    await etcd.put(`${name}/k`, "v", { lease });
    for await (const { events } of watch) {
      expect(events[0]?.kv.text).toBe("v");
      break;
    }
    expect((await etcd.get(`${name}/k`))?.lease).toBe(lease.id);
  }
});

test("the environment's files are used for https, and only there", async () => {
  const { caFile, certFile, keyFile } = tls();
  const before = { ...process.env };
  Object.assign(process.env, { ETCD_CACERT: caFile, ETCD_CERT: certFile, ETCD_KEY: keyFile });
  try {
    await using secure = new EtcdClient({ endpoints: cluster.endpoints });
    await secure.put("env", "v");
    await using plain = new EtcdClient({ endpoints: plainCluster.endpoints });
    await plain.put("env", "v");
    // Its CA goes with a certificate of one's own, its certificate and key with no other's.
    await using own = new EtcdClient({ endpoints: cluster.endpoints, tls: { certFile, keyFile } });
    await own.put("env", "v");
    for (const half of [{ certFile }, { keyFile }]) {
      expect(() => new EtcdClient({ endpoints: cluster.endpoints, tls: half })).toThrow(/is missing/);
    }
    process.env.ETCD_KEY = "";
    await using alsoPlain = new EtcdClient({ endpoints: plainCluster.endpoints });
    await alsoPlain.put("env", "v");
    expect(() => new EtcdClient({ endpoints: cluster.endpoints })).toThrow(
      expect.objectContaining({ option: "tls.key", message: expect.stringContaining("from ETCD_CERT") }),
    );
  } finally {
    for (const name of ["ETCD_CACERT", "ETCD_CERT", "ETCD_KEY"]) delete process.env[name];
    Object.assign(process.env, before);
  }
});

describe("what cannot be secured fails at once and says why", () => {
  const https = () => [...cluster.endpoints];
  const cases: Record<string, readonly [() => Promise<EtcdClientOptions> | EtcdClientOptions, RegExp]> = {
    "a CA that is not the servers'": [
      async () => ({ endpoints: https(), tls: { ...files(), caFile: (await tls().other()).caFile } }),
      /its certificate is not of a CA that is trusted here: look at tls\.ca/,
    ],
    "no CA": [
      () => ({ endpoints: https(), tls: { ...files(), caFile: undefined } }),
      /its certificate is not of a CA that is trusted here/,
    ],
    "no certificate for mutual TLS": [
      () => ({ endpoints: https(), tls: { caFile: files().caFile } }),
      /it refused the client's certificate \((certificate required|bad certificate)\): look at tls\.cert/,
    ],
    "a client's certificate that has expired": [
      async () => {
        const { certFile, keyFile } = await tls().issue({ days: -1 });
        return { endpoints: https(), tls: { ...files(), certFile, keyFile } };
      },
      /it refused the client's certificate \((certificate expired|bad certificate)\)/,
    ],
    "a client's certificate of another CA": [
      async () => {
        const { certFile, keyFile } = await tls().issue({ ca: "other" });
        return { endpoints: https(), tls: { ...files(), certFile, keyFile } };
      },
      /it refused the client's certificate/,
    ],
    "a key that is not the certificate's": [
      async () => ({ endpoints: https(), tls: { ...files(), keyFile: (await tls().issue()).keyFile } }),
      /tls\.keyFile is not the key of the certificate/,
    ],
    "a file that is not there": [
      () => ({ endpoints: https(), tls: { ...files(), caFile: "/nowhere/ca.pem" } }),
      /tls\.caFile cannot be read: ENOENT/,
    ],
    "a serverName that no server has": [
      () => ({ endpoints: https(), tls: { ...files(), serverName: "other.test" } }),
      /its certificate is for other names: look at the endpoint's host or tls\.serverName/,
    ],
    "http:// to servers with TLS": [
      () => ({ endpoints: https().map((endpoint) => endpoint.replace("https:", "http:")) }),
      /it speaks TLS: write it as https:\/\//,
    ],
    "https:// to a server without TLS": [
      () => ({ endpoints: plainCluster.endpoints.map((url) => url.replace("http:", "https:")), tls: files() }),
      /it speaks no TLS: write it as http:\/\//,
    ],
  };

  test.each(Object.entries(cases))("%s", async (_, [options, message]) => {
    await using etcd = new EtcdClient({ requestTimeoutMs: 20_000, ...(await options()) });
    const { error, tookMs } = await outcomeOf(etcd.put("k", "v"));
    expect(error).toMatchObject({
      code: "ETCD_UNAVAILABLE",
      retryable: true,
      outcomeUnknown: false,
      message: expect.stringMatching(message),
    });
    expect(tookMs).toBeLessThan(10_000);
  });

  test("a server's certificate that has expired", async () => {
    await using own = await startEtcd({ tls: true });
    await own.tls?.replaceMember(0, { days: -1 });
    await using etcd = new EtcdClient(own.clientOptions);
    expect((await outcomeOf(etcd.get("k"))).error).toMatchObject({
      message: expect.stringContaining("its certificate has expired"),
    });
  });
});

test("a member whose name does not match is refused, and the others serve", async () => {
  await using own = await startEtcd({ members: 3, tls: true });
  await own.tls?.replaceMember(1, { names: ["elsewhere.test"] });
  for (const [index, endpoint] of own.endpoints.entries()) {
    await using alone = new EtcdClient({ ...own.clientOptions, endpoints: [endpoint] });
    const { error } = await outcomeOf(alone.get("k"));
    if (index === 1) expect(error).toMatchObject({ message: expect.stringContaining("for other names") });
    else expect(error).toBeUndefined();
    // Whichever is asked first.
    const order = [endpoint, ...own.endpoints.filter((other) => other !== endpoint)];
    await using etcd = new EtcdClient({ ...own.clientOptions, endpoints: order });
    const watch = etcd.watch("k");
    await watch.ready;
    await etcd.put("k", "v");
    expect((await watch[Symbol.asyncIterator]().next()).value?.events).toHaveLength(1);
  }
});

test("serverName stands for the names of all", async () => {
  await using own = await startEtcd({ members: 2, tls: { names: () => ["etcd.internal.test"] } });
  await using refused = new EtcdClient(own.clientOptions);
  expect((await outcomeOf(refused.get("k"))).error).toMatchObject({ code: "ETCD_UNAVAILABLE" });
  await using etcd = new EtcdClient({
    ...own.clientOptions,
    tls: { ...own.clientOptions.tls, serverName: "etcd.internal.test" },
  });
  await etcd.put("k", "v");
});

test("files that are replaced are used for the next connection, of calls and of streams, without a restart", async () => {
  const folder = await mkdtemp(join(tmpdir(), "rotated-"));
  const [caFile, certFile, keyFile] = ["ca.pem", "cert.pem", "key.pem"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const good = files();
  const restore = async () => {
    await cp(good.caFile, caFile);
    await cp(good.certFile, certFile);
    await cp(good.keyFile, keyFile);
  };
  try {
    await restore();
    await using proxy = await FaultProxy.start(cluster.member(0).endpoint);
    await using writer = new EtcdClient(cluster.clientOptions);
    await using etcd = new EtcdClient({ endpoints: proxy.endpoint, tls: { caFile, certFile, keyFile } });
    const received: string[] = [];
    const mirror = etcd.mirror(prefix("rotated/"), { onStatus: (_, error) => error && received.push(error.message) });
    await mirror.ready;
    const untrusted: string[] = [];
    const onStatus = (_: unknown, error?: Error) => void (error && untrusted.push(error.message));

    await writeFile(certFile, (await tls().issue({ ca: "other" })).cert);
    await writeFile(keyFile, "");
    await etcd.put("rotated/open", "connections stay as they are");
    proxy.cut();
    expect((await outcomeOf(etcd.get("k"))).error).toMatchObject({
      message: expect.stringContaining("tls.keyFile"),
    });
    await writer.put("rotated/meanwhile", "v");
    expect(mirror.status).toBe("stale");
    // The warning says what to correct, and is not repeated with each attempt.
    const reasons = () => received.filter((message) => message.includes("tls.keyFile"));
    await until(() => reasons().length > 0);
    proxy.cut();
    await until(async () => (await outcomeOf(etcd.get("k"))).error !== undefined);
    expect(reasons()).toHaveLength(1);
    // One that comes meanwhile, and reads nothing, learns of it as well.
    const watch = etcd.watch(prefix("rotated/"), { startRevision: 1, onStatus });
    await until(() => untrusted.some((message) => message.includes("tls.keyFile")));

    await restore();
    await watch.ready;
    await until(async () => (await etcd.get("rotated/meanwhile")) !== undefined);
    await until(() => mirror.status === "live" && mirror.get("rotated/meanwhile") !== undefined);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a recipe goes on trying while servers cannot be trusted, says so, and works once they can", async () => {
  const folder = await mkdtemp(join(tmpdir(), "mended-"));
  const caFile = join(folder, "ca.pem");
  try {
    await cp((await tls().other()).caFile, caFile);
    const client = { endpoints: cluster.endpoints, tls: { ...files(), caFile } };
    await using server = new ServiceRegister("/secure/m1", "10.0.0.1:8080", 5, { client });
    const warnings: Error[] = [];
    server.on("warning", (warning) => warnings.push(warning));
    await until(() => warnings.some(({ message }) => message.includes("not of a CA that is trusted here")));
    expect(server.status).toBe("registering");
    await cp(files().caFile, caFile);
    await server.ready;
  } finally {
    await rm(folder, { recursive: true });
  }
});

describe("options", () => {
  const endpoints = "https://127.0.0.1:1";
  const broken = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n";

  test.each([
    ["ca twice", { ca: broken, caFile: "/ca.pem" }, "tls.caFile"],
    ["a certificate without its key", { certFile: "/cert.pem" }, "tls.key"],
    ["a key without its certificate", { keyFile: "/key.pem" }, "tls.cert"],
    ["a CA that is no PEM", { ca: "not PEM" }, "tls.ca"],
    ["a CA that is no certificate", { ca: broken }, "tls.ca"],
    ["a certificate that is none", { cert: broken, key: "x" }, "tls.cert"],
    ["a file that is a number", { caFile: 7 }, "tls.caFile"],
    ["an empty name", { serverName: "" }, "tls.serverName"],
    ["an unknown name", { cafile: "/ca.pem" }, "tls.cafile"],
    ["no object", "ca.pem", "tls"],
  ])("%s is refused by name", (_, options, option) => {
    expect(() => new EtcdClient({ endpoints, tls: options as never })).toThrow(
      expect.objectContaining({ code: "ETCD_INVALID_OPTION", option }),
    );
  });

  test("a key of another certificate is refused before any I/O", async () => {
    const { cert } = tls();
    const { key } = await tls().issue();
    expect(() => new EtcdClient({ endpoints, tls: { cert, key } })).toThrow(
      expect.objectContaining({
        option: "tls.key",
        message: expect.stringContaining("not the key of the certificate"),
      }),
    );
  });

  test("TLS without https is refused", () => {
    expect(() => new EtcdClient({ endpoints: "http://127.0.0.1:1", tls: { caFile: "/ca.pem" } })).toThrow(
      expect.objectContaining({ option: "tls", message: expect.stringContaining("https://") }),
    );
  });

  test.each([
    ["no user", { password: "p" }, "auth.username"],
    ["no password", { username: "u" }, "auth.password"],
    ["an empty password", { username: "u", password: "" }, "auth.password"],
    ["an unknown name", { username: "u", password: "p", user: "x" }, "auth.user"],
    ["an unknown name in the place of a known one", { user: "x" }, "auth.user"],
  ])("authentication with %s is refused by name, and the password is not shown", (_, auth, option) => {
    const options = { endpoints: "http://127.0.0.1:1", auth: auth as never };
    expect(() => new EtcdClient(options)).toThrow(expect.objectContaining({ code: "ETCD_INVALID_OPTION", option }));
  });
});
