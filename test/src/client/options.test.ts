import { afterEach, expect, test } from "vitest";
import { resolveClientOptions } from "../../../src/client-options.ts";
import { parseEndpointSource } from "../../../src/connection/index.ts";
import { EtcdClient, type EtcdClientOptions, InvalidOptionError } from "../../../src/index.ts";

afterEach(() => {
  delete process.env.ETCD_ENDPOINTS;
});

function errorOf(options: unknown): InvalidOptionError {
  try {
    new EtcdClient(options as EtcdClientOptions);
  } catch (error) {
    if (error instanceof InvalidOptionError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

function urlsOf(options: EtcdClientOptions, env: NodeJS.ProcessEnv): string[] {
  const { endpoints } = resolveClientOptions(options, env);
  return "domain" in endpoints ? [endpoints.url] : endpoints.map(({ url }) => url);
}

const https = "https://a:2379";
const noMore =
  "EtcdClient: endpoints must be a scheme, a host and a port, such as http://127.0.0.1:2379, without a query or a fragment";

/** Of Ed25519, in PKCS#8. */
const der = Buffer.from(`302e020100300506032b657004220420${"5a".repeat(32)}`, "hex");
const pem = `-----BEGIN PRIVATE KEY-----\n${der.toString("base64")}\n-----END PRIVATE KEY-----\n`;

/** What a file has in it, as it comes out of an environment or a Secret. */
const contents = [
  pem,
  pem.replaceAll("\n", "\\n"),
  Buffer.from(pem).toString("base64"),
  der.toString("base64"),
  "two\nlines",
];

// The messages as users read them. Read one aloud when you change it.
test.each<[options: unknown, option: string, message: string]>([
  [{ endpoints: [] }, "endpoints", "EtcdClient: endpoints must name at least one endpoint"],
  [{ endpoints: "" }, "endpoints", "EtcdClient: endpoints must name at least one endpoint"],
  [{ endpoints: "root:hunter2@host:2379" }, "endpoints", "EtcdClient: endpoints must not carry a user or a password"],
  [
    { endpoints: "https://a,b:2379" },
    "endpoints",
    "EtcdClient: endpoints must not mix http and https: one plain connection would give away what the others protect",
  ],
  [
    { endpoints: ["ftp://host"] },
    "endpoints",
    'EtcdClient: endpoints has "ftp://host"; write it as http://host:2379 or https://host:2379',
  ],
  ...["etcd+srv://example.com:2379", "etcd+srv://", "etcd+srv://a/b"].map((endpoint): [unknown, string, string] => [
    { endpoints: endpoint },
    "endpoints",
    `EtcdClient: endpoints has "${endpoint}"; write it as etcd+srv://example.com: a domain and nothing more`,
  ]),
  [
    { endpoints: "etcd+srv://root:hunter2@a" },
    "endpoints",
    'EtcdClient: endpoints has "etcd+srv://a"; write it as etcd+srv://example.com: a domain and nothing more',
  ],
  [
    { endpoints: "http://b,etcd+srv://a" },
    "endpoints",
    'EtcdClient: endpoints must name nothing beside "etcd+srv://a"',
  ],
  [{ endpoints: ["http://"] }, "endpoints", 'EtcdClient: endpoints has "http://", which is not a URL'],
  [
    { endpoints: ["http://host:99999"] },
    "endpoints",
    'EtcdClient: endpoints has "http://host:99999", which is not a URL',
  ],
  [
    { endpoints: ["http://host:2379/v3"] },
    "endpoints",
    'EtcdClient: endpoints has "http://host:2379/v3"; an endpoint is a scheme, a host and a port and nothing more',
  ],
  [
    { endpoints: ["http://root:hunter2@host"] },
    "endpoints",
    "EtcdClient: endpoints must not carry a user or a password",
  ],
  [
    { endpoints: ["http://a", "https://b"] },
    "endpoints",
    "EtcdClient: endpoints must not mix http and https: one plain connection would give away what the others protect",
  ],
  [
    { endpoints: 2379 },
    "endpoints",
    "EtcdClient: endpoints must be a URL such as http://127.0.0.1:2379, or a list of such, not 2379",
  ],
  [
    { endpoints: [2379] },
    "endpoints.0",
    "EtcdClient: endpoints.0 must be a URL such as http://127.0.0.1:2379, not 2379",
  ],
  [
    { endpoints: ["http://a", undefined] },
    "endpoints.1",
    "EtcdClient: endpoints.1 must be a URL such as http://127.0.0.1:2379, not undefined",
  ],
  ...["http://a:1/?key=hunter2", "a:1#hunter2", "ftp://a?hunter2", "etcd+srv://a?hunter2", "http://me:hunt?er2@a"].map(
    (endpoint): [unknown, string, string] => [{ endpoints: endpoint }, "endpoints", noMore],
  ),
  [
    { endpoints: [pem] },
    "endpoints",
    "EtcdClient: endpoints must be URLs such as http://127.0.0.1:2379, and not PEM text",
  ],
  [{ endpoints: https, tls: { serverName: "" } }, "tls.serverName", "EtcdClient: tls.serverName must not be empty"],
  ...[pem, "/etc/key.pem", "a".repeat(254)].map((serverName): [unknown, string, string] => [
    { endpoints: https, tls: { serverName } },
    "tls.serverName",
    "EtcdClient: tls.serverName must be the name of a host, such as etcd.internal",
  ]),
  ...["ca", "caFile", "cert", "certFile", "key", "keyFile"].map((name): [unknown, string, string] => [
    { endpoints: https, tls: { [name]: "" } },
    `tls.${name}`,
    `EtcdClient: tls.${name} must not be empty`,
  ]),
  ...["ca", "cert", "key"].flatMap((name): [unknown, string, string][] => [
    [
      { endpoints: https, tls: { [name]: new Uint8Array() } },
      `tls.${name}`,
      `EtcdClient: tls.${name} must not be empty`,
    ],
    [
      { endpoints: https, tls: { [name]: 5 } },
      `tls.${name}`,
      `EtcdClient: tls.${name} must be PEM text or bytes, or be left out, not a number`,
    ],
    [
      { endpoints: https, tls: { [`${name}File`]: 5 } },
      `tls.${name}File`,
      `EtcdClient: tls.${name}File must be the path of a file, not a number`,
    ],
    ...contents.map((content): [unknown, string, string] => [
      { endpoints: https, tls: { [`${name}File`]: content } },
      `tls.${name}File`,
      `EtcdClient: tls.${name}File must be the path of a file, not what is in it: save that to a file, or, in code, give PEM text as tls.${name}`,
    ]),
  ]),
  [{ endpoint: "http://a" }, "endpoint", 'EtcdClient: endpoint is not an option; did you mean "endpoints"?'],
  [
    { hosts: "http://a" },
    "hosts",
    "EtcdClient: hosts is not an option; known are endpoints, tls, auth, namespace, dialTimeoutMs, requestTimeoutMs, autoBatch, followMembers, warnUnreachable",
  ],
  [{ dialTimeout: 5 }, "dialTimeout", 'EtcdClient: dialTimeout is not an option; did you mean "dialTimeoutMs"?'],
  [
    { dialTimeoutMs: Number.NaN },
    "dialTimeoutMs",
    "EtcdClient: dialTimeoutMs must be a number of milliseconds, not NaN",
  ],
  [{ dialTimeoutMs: -1 }, "dialTimeoutMs", "EtcdClient: dialTimeoutMs must be at least 1 ms, not -1"],
  [{ requestTimeoutMs: 0 }, "requestTimeoutMs", "EtcdClient: requestTimeoutMs must be at least 1 ms, not 0"],
  [
    { requestTimeoutMs: 2 ** 31 },
    "requestTimeoutMs",
    "EtcdClient: requestTimeoutMs must be below 2^31 ms, not 2147483648",
  ],
  [
    { requestTimeoutMs: "5000" },
    "requestTimeoutMs",
    'EtcdClient: requestTimeoutMs must be a number of milliseconds, not "5000"',
  ],
  [{ namespace: 5 }, "namespace", "EtcdClient: namespace must be a string, not 5"],
  ["http://127.0.0.1:2379", "options", 'EtcdClient: options must be a plain object, not "http://127.0.0.1:2379"'],
  [null, "options", "EtcdClient: options must be a plain object, not null"],
  [["http://127.0.0.1:2379"], "options", "EtcdClient: options must be a plain object, not an array"],
])("%j is refused by name", (options, option, message) => {
  const error = errorOf(options);
  expect(error).toMatchObject({ code: "ETCD_INVALID_OPTION", option });
  expect(error.message).toBe(message);
});

test.each([
  ["http://a", ["http://a:2379"]],
  ["http://a:80", ["http://a:80"]],
  ["https://a:443/", ["https://a:443"]],
  ["http://[::1]:2379", ["http://[::1]:2379"]],
  ["http://a:1, http://b:2,", ["http://a:1", "http://b:2"]],
  [["http://a:1", "http://a:1"], ["http://a:1"]],
  ["unix:///run/etcd.sock", ["unix:///run/etcd.sock"]],
  ["etcd+srv://example.com.", ["etcd+srv://example.com"]],
  [
    ["unixs:///run/etcd.sock", "https://a"],
    ["unixs:///run/etcd.sock", "https://a:2379"],
  ],
])("endpoints %j are read as %j", (endpoints, read) => {
  expect(urlsOf({ endpoints }, {})).toEqual(read);
});

test.each([
  [undefined, ["http://127.0.0.1:2379"]],
  ["", ["http://127.0.0.1:2379"]],
  [" , ", ["http://127.0.0.1:2379"]],
  ["10.0.0.1:2379", ["http://10.0.0.1:2379"]],
  ["10.0.0.1", ["http://10.0.0.1:2379"]],
  ["http://a:1,http://b:2", ["http://a:1", "http://b:2"]],
  ["https://a:1 , https://b:2", ["https://a:1", "https://b:2"]],
  ["etcd+srv://example.com", ["etcd+srv://example.com"]],
])("ETCD_ENDPOINTS=%s stands for %j when nothing else is said", (value, read) => {
  const env = { ETCD_ENDPOINTS: value };
  expect(urlsOf({}, env)).toEqual(read);
  expect(urlsOf({ endpoints: "http://said" }, env)).toEqual(["http://said:2379"]);
});

test("host:port is plain, in the options as in ETCD_ENDPOINTS", () => {
  const read = ["http://a:2379", "http://[::1]:12379"];
  expect(urlsOf({ endpoints: "a, [::1]:12379" }, {})).toEqual(read);
  expect(urlsOf({ endpoints: ["a:2379", "[::1]:12379"] }, {})).toEqual(read);
});

test("a mistake in ETCD_ENDPOINTS is said to be there", () => {
  process.env.ETCD_ENDPOINTS = "ftp://a";
  expect(errorOf({}).message).toBe(
    'EtcdClient: endpoints (from ETCD_ENDPOINTS) has "ftp://a"; write it as http://host:2379 or https://host:2379',
  );
});

test.each(["http://a:1/?hunter2", "a:1#hunter2", "etcd+srv://a?hunter2"])(
  "what stands behind the endpoint %s is not shown, wherever it comes from",
  (endpoint) => {
    const of = "must be a scheme, a host and a port, such as http://127.0.0.1:2379, without a query or a fragment";
    expect(() => resolveClientOptions({}, { ETCD_ENDPOINTS: endpoint })).toThrow(
      `EtcdClient: endpoints (from ETCD_ENDPOINTS) ${of}`,
    );
    // Also by those who take no `host:port`, such as the URLs that members advertise.
    const url = endpoint.includes("://") ? endpoint : `http://${endpoint}`;
    expect(() => parseEndpointSource("EtcdClient", [url])).toThrow(`EtcdClient: endpoints ${of}`);
  },
);

test.each([
  ["ca", "ETCD_CACERT"],
  ["cert", "ETCD_CERT"],
  ["key", "ETCD_KEY"],
])("what is in a file, in the place of its path, is not shown: tls.%sFile from %s", (part, variable) => {
  const files = { ETCD_CERT: "/etc/cert.pem", ETCD_KEY: "/etc/key.pem" };
  for (const content of contents) {
    const read = () => resolveClientOptions({ endpoints: https }, { ...files, [variable]: content });
    expect(read).toThrow(
      `EtcdClient: tls.${part}File (from ${variable}) must be the path of a file, not what is in it: save that to a file, or, in code, give PEM text as tls.${part}`,
    );
  }
});

test.each(["certs/etcd-client.key", "/etc/etcd/key", "C:\\etcd\\key.pem", `/${"x".repeat(100)}`, "Mine/etcd/keys/1"])(
  "%s is a path",
  (keyFile) => {
    const { tls } = resolveClientOptions({ endpoints: https, tls: { keyFile, certFile: "/etc/cert.pem" } }, {});
    expect(tls?.key).toEqual({ file: keyFile });
  },
);

test.each(["http://me:hunter2@a:1", "me:hunter2@a", "http://a:1/?hunter2", "http://a:1/#hunter2"])(
  "%s, as the endpoint of one member or as the URL of a peer, is refused without its secret",
  async (url) => {
    await using etcd = new EtcdClient({ endpoints: "http://127.0.0.1:1" });
    for (const call of [etcd.health({ endpoint: url }), etcd.cluster.add(url), etcd.cluster.add(["http://b:1", url])]) {
      const error = await call.catch((refusal: unknown) => refusal);
      expect(error).toMatchObject({ code: "ETCD_INVALID_OPTION", message: expect.not.stringContaining("hunter2") });
    }
    expect(() => etcd.setEndpoints(url)).toThrow(expect.not.stringContaining("hunter2"));
  },
);

test("a path of letters and slashes that begins with M is no certificate", () => {
  const caFile = `MyCompany/${"infrastructure/".repeat(5)}authority`;
  expect(resolveClientOptions({ endpoints: https, tls: { caFile } }, {}).tls).toMatchObject({ ca: { file: caFile } });
});
