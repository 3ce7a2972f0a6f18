import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { createServer } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Patient } from "../../cli/doctor/finding.ts";
import { checkTls } from "../../cli/doctor/tls.ts";
import { Output } from "../../cli/output.ts";
import { noteProcessWarnings } from "../../cli/process-warnings.ts";
import { runCli } from "../../cli/run-cli.ts";
import { EtcdClient } from "../../recipes/index.ts";
import { type ClusterTls, type EtcdCluster, startEtcd } from "../../testing/index.ts";
import { Cli } from "../support/cli.ts";
import { until } from "../support/until.ts";

let cluster: EtcdCluster;
let tls: ClusterTls;

beforeAll(async () => {
  const permissions = [{ read: { prefix: "/svc/" } }] as const;
  const users = {
    reader: { password: "secret", permissions },
    writer: { password: "secret", permissions: [{ readwrite: { prefix: "/svc/" } }] as const },
    stranger: { password: "secret" },
  };
  cluster = await startEtcd({ tls: true, auth: { users } });
  tls = cluster.tls as ClusterTls;
  await using etcd = new EtcdClient(cluster.clientOptions);
  await etcd.put("/svc/m1", "10.0.0.1:80");
});
afterAll(() => cluster.close());

/** In this process: a process for each of so many would take half a second each. */
async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const streams = { out: new PassThrough(), err: new PassThrough() };
  const code = await runCli(args, streams as unknown as { out: NodeJS.WriteStream; err: NodeJS.WriteStream });
  const textOf = (stream: PassThrough) => String(stream.read() ?? "").trim();
  return { code, out: textOf(streams.out), err: textOf(streams.err) };
}

const as = (user: string) => [
  ...["--endpoints", cluster.endpoints.join(","), "--cacert", tls.caFile, "--cert", tls.certFile, "--key", tls.keyFile],
  ...["--user", user, "--command-timeout", "5s"],
];

/** Each command that asks etcd and ends by itself. */
const commands: readonly (readonly string[])[] = [
  ["ls", "/other/"],
  ["top", "/other/"],
  ["top", "--election", "/other"],
  ["top", "--queue", "/other"],
  ["watch", "/other/"],
  ["leader", "/other"],
  ["leader", "/other", "--watch"],
  ["drain", "/other/m1"],
  ["queue", "ls", "/other"],
  ["queue", "dead", "/other"],
  ["queue", "retry", "/other", "--all"],
  ["queue", "discard", "/other", "a"],
  ["cache", "ls", "/other/"],
  ["cancel", "/other/", "a"],
  ["confirm", "ls", "/other/"],
  ["confirm", "approve", "/other/", "a"],
  ["confirm", "reject", "/other/", "a"],
  ["snapshot", join(tmpdir(), "etcd-recipes-never-made")],
  ["lock", "/other", "--wait", "3s", "--", "true"],
];

/** Without etcd it waits: it is there to run for ever. */
const waiting = [["elect", "/other", "--", "true"]];

test.each([...commands, ["queue", "add", "/other", "a"]])(
  "%s %s: without etcd it says so in time, and ends with 3",
  async (...words) => {
    const at = words.indexOf("--");
    const before = at < 0 ? words : words.slice(0, at);
    const after = at < 0 ? [] : words.slice(at);
    const away = ["--endpoints", "127.0.0.1:1", "--command-timeout", "300ms"];
    const args = before.map((word) => (word === "3s" ? "300ms" : word));
    const { code, out, err } = await run(...args, ...away, ...after);
    expect({ code, out }).toEqual({ code: 3, out: "" });
    expect(err).toMatch(/^etcd-recipes: .*(reached|127\.0\.0\.1:1)/m);
  },
);

describe("a connection that cannot be secured is no matter of time: it is said once, with the flag to look at", () => {
  const https = () => cluster.endpoints.join(",");
  const setups: readonly (readonly [string, () => string[], RegExp])[] = [
    ["no CA", () => ["--endpoints", https()], /not of a CA that is trusted here.*; tls\.ca is --cacert here$/],
    [
      "no certificate",
      () => ["--endpoints", https(), "--cacert", tls.caFile],
      /refused the client's certificate.*; tls\.cert is --cert, tls\.key is --key here$/,
    ],
    ["no https", () => ["--endpoints", https().replace("https://", "")], /it speaks TLS: write it as https:\/\/$/],
    [
      "a missing key",
      () => ["--endpoints", https(), "--cacert", tls.caFile, "--cert", tls.certFile, "--key", "/nowhere"],
      /tls\.keyFile cannot be read: ENOENT.*; tls\.key is --key here$/,
    ],
  ];
  describe.each(setups)("%s", (_, flags, said) => {
    test.each([
      ["ls", "/a"],
      ["watch", "/a"],
      ["top", "/a"],
      ["queue", "ls", "/a"],
    ])("%s %s", async (...words) => {
      const { code, out, err } = await run(...words, ...flags(), "--command-timeout", "10s");
      expect({ code, out, err }).toEqual({ code: 3, out: "", err: expect.stringMatching(said) });
      expect(err.split("\n")).toHaveLength(1);
    });
  });

  test("a file that the environment names: the variable, unless a flag replaces it", async () => {
    const env = { ...process.env, ETCD_CACERT: "/nowhere", ETCD_CERT: "/nowhere", ETCD_KEY: "/nowhere" };
    const cli = new Cli(https(), env);
    expect(await cli.run("ls", "/a")).toMatchObject({
      code: 3,
      err: expect.stringMatching(/tls\.caFile cannot be read: ENOENT.*; tls\.ca is ETCD_CACERT here$/),
    });
    expect(await cli.run("ls", "/a", "--cacert", "/nowhere")).toMatchObject({
      code: 3,
      err: expect.stringMatching(/; tls\.ca is --cacert here$/),
    });
    expect(await cli.run("ls", "/a", "--cacert", tls.caFile)).toMatchObject({
      code: 3,
      err: expect.stringMatching(/tls\.certFile cannot be read: ENOENT.*; tls\.cert is ETCD_CERT here$/),
    });
    // The environment's key is not of this certificate.
    expect(await cli.run("ls", "/a", "--cacert", tls.caFile, "--cert", tls.certFile)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/; tls\.key is --key, tls\.cert is --cert here$/),
    });
  });

  test("--cert without --key", async () => {
    const flags = ["--endpoints", https(), "--cacert", tls.caFile, "--cert", tls.certFile];
    expect(await run("ls", "/a", ...flags)).toEqual({
      code: 2,
      out: "",
      err: expect.stringMatching(
        /tls\.key is missing: tls\.cert needs it; tls\.key is --key, tls\.cert is --cert here$/,
      ),
    });
  });
});

test("while etcd is away there is one plain note on stderr, and none where the command shows it", async () => {
  const cli = new Cli("127.0.0.1:1");
  await using watching = cli.start("watch", "/a", "--command-timeout", "1m");
  await using looking = cli.start("top", "/a", "--command-timeout", "8s");
  await until(() => watching.errors.length > 0);
  const reason = "http://127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1";
  expect(await looking.ended).toBe(3);
  expect(looking.errors).toEqual([expect.stringMatching(/^etcd-recipes: top: etcd was not reached: /)]);
  watching.kill("SIGINT");
  expect(await watching.ended).toBe(130);
  expect(watching.errors).toEqual([`etcd was not reached for 5 s: ${reason}`]);
});

test("what a recipe warns the process of is a plain note, too", () => {
  const listeners = process.listeners("warning");
  const err = new PassThrough();
  try {
    noteProcessWarnings(err as unknown as NodeJS.WriteStream);
    const warning = { name: "UnavailableError", code: "ETCD_UNAVAILABLE" };
    process.emit("warning", Object.assign(new Error("mirror: away"), warning));
  } finally {
    process.removeAllListeners("warning");
    for (const listener of listeners) process.on("warning", listener);
  }
  expect(String(err.read())).toBe("mirror: away\n");
});

test("the same warning is said once, until something else is noted", () => {
  const err = new PassThrough();
  const output = new Output(false, undefined, err as unknown as NodeJS.WriteStream);
  const away = new Error("etcd is away");
  output.warning(away);
  output.warning(away);
  output.note("leads");
  output.warning(away);
  expect(String(err.read())).toBe("etcd is away\nleads\netcd is away\n");
});

describe.each([
  ["a wrong password", "reader:wrong"],
  ["a user without permission", "reader:secret"],
])("%s", (_, user) => {
  // Not `queue add`: it puts a job by a txn within a txn, of which an etcd before 3.5.28 checks no permission.
  test.each([...commands, ...waiting])("%s %s: it says so, and ends with 4", async (...words) => {
    const at = words.indexOf("--");
    const before = at < 0 ? words : words.slice(0, at);
    const after = at < 0 ? [] : words.slice(at);
    const { code, out, err } = await run(...before, ...as(user), ...after);
    expect({ code, out, err }).toEqual({ code: 4, out: "", err: expect.stringMatching(/^etcd-recipes: /) });
    expect(err).not.toContain("wrong");
  });

  // A process of its own: it runs its command beside a guard, which is published as a program.
  test("register: it says so, and ends with 4", async () => {
    const cli = new Cli(cluster.endpoints.join(","));
    const args = ["/other/m1", "10.0.0.1:80", ...as(user), "--", "sleep", "100"];
    const { code, out, err } = await cli.run("register", ...args);
    expect({ code, out, err }).toEqual({ code: 4, out: "", err: expect.stringMatching(/^etcd-recipes: /) });
    expect(err).not.toContain("wrong");
  });
});

describe("the doctor", () => {
  const lines = async (...args: string[]) => {
    const { code, out } = await run("doctor", "--json", ...args);
    return { code, lines: out.split("\n").map((line) => JSON.parse(line) as Record<string, string>) };
  };
  const of = (all: readonly Record<string, string>[], check: string) => all.filter((line) => line.check === check);

  test("says what the roles of this user permit, and which permission is missing for a prefix", async () => {
    const own = await lines("/svc/", ...as("reader:secret"), "--read-only");
    expect(own.code).toBe(0);
    expect(of(own.lines, "authentication")[0]?.found).toBe("it is on; reader has reader, which permit read /svc/*");
    expect(of(own.lines, "permission")).toMatchObject([
      {
        level: "warn",
        found: "reader may read /svc/ and not write there",
        todo: "to register: etcdctl role grant-permission --prefix reader readwrite /svc/",
      },
    ]);
    const other = await lines("/other/", ...as("reader:secret"), "--read-only");
    expect(other.code).toBe(1);
    expect(of(other.lines, "permission")[0]).toMatchObject({ level: "bad", found: "reader may not read /other/" });
    expect(of(other.lines, "formats")[0]).toMatchObject({ level: "bad" });
    const root = await lines("/svc/", ...as(`root:${cluster.auth?.password}`));
    expect(root.code).toBe(0);
    expect(of(root.lines, "authentication")[0]?.found).toContain("has the role root, and may do everything");
    const none = await lines(...as("stranger:secret"), "--read-only");
    expect(of(none.lines, "authentication")[0]?.found).toMatch(/has no role|nothing/);
  });

  test("judges the prefix that the recipes read: /svc is /svc/, and no more is to be granted", async () => {
    const { code, lines: own } = await lines("/svc", ...as("reader:secret"), "--read-only");
    expect(code).toBe(0);
    expect(of(own, "permission")).toMatchObject([
      { level: "warn", found: "reader may read /svc/ and not write there" },
    ]);
    const { lines: other } = await lines("/other", ...as("reader:secret"), "--read-only");
    expect(of(other, "permission")).toMatchObject([
      { level: "bad", todo: "etcdctl role grant-permission --prefix reader read /other/" },
    ]);
  });

  test("tries no event where this user may not write its key, and says what to grant", async () => {
    const { code, lines: all } = await lines("/svc/", ...as("writer:secret"));
    expect(code).toBe(0);
    expect(of(all, "permission")).toMatchObject([{ level: "ok", found: "writer may read and write /svc/" }]);
    const [asked] = of(all, "watch");
    expect(asked).toMatchObject({
      level: "warn",
      found: "not tried: this user may not read and write etcd-recipes/.doctor/",
    });
    await cluster.auth?.grantPermission("writer", { readwrite: { prefix: "etcd-recipes/.doctor/" } });
    const { lines: granted } = await lines("/svc/", ...as("writer:secret"));
    expect(of(granted, "watch")).toMatchObject([{ found: expect.stringContaining("a put and its event take") }]);
  });

  test("names a host to a server of TLS, and no address: it is no name", async () => {
    const asked: string[] = [];
    const [cert, key] = [readFileSync(tls.certFile), readFileSync(tls.keyFile)];
    const SNICallback = (name: string, next: (error: null) => void) => {
      asked.push(name);
      next(null);
    };
    const server = createServer({ cert, key, ALPNProtocols: ["h2"], SNICallback });
    server.on("tlsClientError", () => {});
    server.on("secureConnection", (socket) => socket.on("error", () => {}));
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    for (const host of ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]"]) {
      const etcd = { endpoints: [`https://${host}:${port}`] };
      const patient = { etcd, timeoutMs: 5_000, signal: new AbortController().signal };
      expect(await checkTls(patient as unknown as Patient), host).toMatchObject([
        { level: "bad", found: expect.stringContaining("UNABLE_TO_VERIFY_LEAF_SIGNATURE") },
      ]);
    }
    server.close();
    await once(server, "close");
    expect(asked).toEqual(["localhost"]);
  });

  test("a wrong password is bad, and named", async () => {
    const { code, lines: all } = await lines(...as("reader:wrong"), "--read-only");
    expect(code).toBe(1);
    expect(all.some(({ level, found }) => level === "bad" && /password|authentication failed/.test(found ?? ""))).toBe(
      true,
    );
  });

  test("an expired certificate of a member is bad, and named", async () => {
    await tls.replaceMember(0, { days: -1 });
    const { code, lines: all } = await lines(...as("reader:secret"), "--read-only", "--command-timeout", "1s");
    await tls.replaceMember(0);
    expect(code).toBe(1);
    expect(of(all, "TLS")).toMatchObject([{ level: "bad", found: expect.stringContaining("it has expired") }]);
    expect(of(all, "endpoint")).toMatchObject([{ level: "bad", todo: "see the lines of TLS" }]);
  });
});
