import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { PeerCertificate } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { judgeRenewal } from "../../cli/doctor/lease.ts";
import { ProcessWatch } from "../../cli/doctor/this-process.ts";
import { judgeCertificate } from "../../cli/doctor/tls.ts";
import { judgeVersion } from "../../cli/doctor/versions.ts";
import { CacheExpirer, EtcdClient, prefix, ServiceRegister } from "../../recipes/index.ts";
import { type EtcdCluster, startEtcd } from "../../testing/index.ts";
import { Cli } from "../support/cli.ts";
import { until } from "../support/until.ts";

let cluster: EtcdCluster;
let cli: Cli;

beforeAll(async () => {
  cluster = await startEtcd({ members: 3, flags: ["--quota-backend-bytes=16777216"] });
  cli = new Cli(cluster.endpoints.join(","));
});
afterAll(() => cluster.close());

/** The one that CI tests on as well, or the installer's. */
const cached = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "etcd-recipes/3.4.23/etcd");
const old = [...(process.env.TEST_ALSO_ON ?? "").split(":"), cached].find((path) => existsSync(path));

interface Line {
  readonly level: string;
  readonly check: string;
  readonly found: string;
  readonly todo?: string;
}

/** What the doctor says, whatever it is. */
async function examined(...args: string[]): Promise<{ code: number | string; lines: Line[] }> {
  const { code, out } = await cli.run("doctor", "--json", ...args);
  return { code, lines: out.split("\n").map((line) => JSON.parse(line) as Line) };
}

const of = (lines: readonly Line[], check: string) => lines.filter((line) => line.check === check);

test("a healthy cluster: every line says what was seen, and nothing is left behind", async () => {
  await using etcd = new EtcdClient(cluster.clientOptions);
  await using server = new ServiceRegister("/svc/m1", "10.0.0.1:80", 7, { client: etcd });
  await server.ready;
  await etcd.put("/svc/broken", "");
  const { code, lines } = await examined("/svc/");
  expect(code).toBe(0);
  // Slow is a warning, and a busy machine is slow.
  expect(of(lines, "endpoint")).toHaveLength(3);
  expect(lines.filter(({ level }) => level === "bad")).toEqual([]);
  expect(of(lines, "leader").filter(({ found }) => found.endsWith(" leads"))).toHaveLength(1);
  for (const check of ["alarms", "members", "lease", "watch", "size", "lag"]) {
    expect(of(lines, check)[0], check).toMatchObject({ level: "ok" });
  }
  expect(of(lines, "formats")).toMatchObject([{ level: "warn", found: expect.stringContaining("/svc/broken") }]);
  expect(of(lines, "TLS")).toMatchObject([{ level: "warn" }]);
  expect((await etcd.range(prefix("etcd-recipes/.doctor/"))).count).toBe(0);
  expect(await etcd.leases()).toHaveLength(1);
  expect(of(lines, "lease")[0]?.found).toContain("the shortest TTL of registrations is 7 s");
  const { lines: readOnly } = await examined("--read-only");
  expect(readOnly.map(({ check }) => check)).not.toContain("lease");
  const { out } = await cli.run("doctor");
  expect(out).toMatch(/^(ok {4}|warn {2})endpoint {8}http.* answered in [\d.]+ ms/m);
  expect(out).toMatch(/^ok {4}alarms {10}none$/m);
});

test("it writes nothing below PREFIX: what follows that sees no event of the doctor's", async () => {
  await using etcd = new EtcdClient(cluster.clientOptions);
  const expired: string[] = [];
  const onExpire = (id: string) => void expired.push(id);
  await using cache = new CacheExpirer("/cache/", { client: etcd, ttlSeconds: 3_600, onExpire });
  await cache.ready;
  await cache.track("own");
  const { revision } = await etcd.range(prefix("etcd-recipes/.doctor/"));
  await using probes = etcd.watch(prefix("etcd-recipes/.doctor/"), { startRevision: revision + 1 });
  const { code, lines } = await examined("/cache/");
  expect(code).toBe(0);
  expect(of(lines, "watch")).toMatchObject([{ level: "ok", found: expect.stringContaining("a put and its event") }]);
  await cache.evict("own");
  await until(() => expired.includes("own"));
  expect(expired).toEqual(["own"]);
  for await (const { events } of probes) {
    expect(events).toMatchObject([{ type: "put" }]);
    break;
  }
});

test("where its own key would stand below PREFIX, it tries none", async () => {
  const { code, lines } = await examined("etcd-recipes/");
  expect(code).toBe(0);
  expect(of(lines, "watch")).toMatchObject([{ level: "ok", found: expect.stringContaining("not tried") }]);
});

test("it reads /apps as /apps/, as the recipes do: /apps2/ is no part of it", async () => {
  await using etcd = new EtcdClient(cluster.clientOptions);
  await using server = new ServiceRegister("/apps/m1", "10.0.0.1:80", 7, { client: etcd });
  await using neighbour = new ServiceRegister("/apps2/m1", "10.0.0.2:80", 5, { client: etcd });
  await Promise.all([server.ready, neighbour.ready]);
  const { code, lines } = await examined("/apps");
  expect(code).toBe(0);
  expect(of(lines, "formats")).toMatchObject([{ level: "ok", found: "1 keys below /apps/, all registrations" }]);
  expect(of(lines, "lease")[0]?.found).toContain("the shortest TTL of registrations is 7 s");
  const empty = await cli.run("doctor", "");
  expect(empty).toMatchObject({ code: 2, out: "", err: expect.stringContaining("PREFIX must not be empty") });
});

test("a member is among the endpoints by whichever name it is reached", async () => {
  const endpoints = cluster.endpoints.map((endpoint) => endpoint.replace("127.0.0.1", "localhost"));
  const { lines } = await examined("--endpoints", endpoints.join(","));
  expect(of(lines, "members")).toMatchObject([{ level: "ok", found: "3, all among the endpoints" }]);
  const [, ...others] = endpoints;
  const { lines: less } = await examined("--endpoints", others.join(","));
  const missing = expect.stringContaining(`${cluster.endpoints[0]}, which is no endpoint`);
  expect(of(less, "members")).toMatchObject([{ level: "warn", found: missing }]);
});

test("a frozen leader, a dead member, and an alarm are bad, each with what to do", async () => {
  const frozen = await cluster.leader();
  await frozen.pause();
  const { code, lines } = await examined("--command-timeout", "2s");
  await frozen.resume();
  expect(code).toBe(1);
  expect(of(lines, "endpoint").filter(({ level }) => level === "bad")).toMatchObject([
    { found: expect.stringContaining(frozen.endpoint), todo: expect.stringContaining("the member is frozen") },
  ]);
  await cluster.member(1).kill();
  const dead = await examined("--command-timeout", "2s");
  expect(dead.code).toBe(1);
  expect(of(dead.lines, "endpoint").filter(({ level }) => level === "bad")).toMatchObject([
    { found: expect.stringContaining(cluster.member(1).endpoint), todo: expect.stringContaining("nothing listens") },
  ]);
  await cluster.member(1).restart();
  await using etcd = new EtcdClient(cluster.clientOptions);
  for (let part = 0; part < 64; part++) {
    const full = await etcd.put(`big/${part}`, "x".repeat(1_000_000)).then(
      () => false,
      () => true,
    );
    if (full) break;
  }
  const nospace = await examined("--command-timeout", "5s");
  expect(nospace.code).toBe(1);
  expect(of(nospace.lines, "alarms")[0]).toMatchObject({
    level: "bad",
    found: expect.stringContaining("NOSPACE"),
    todo: expect.stringContaining("disarm"),
  });
}, 90_000);

test("a leader that has frozen is named for as long as the others follow it", async () => {
  // They wait some 10 s before they choose another one, where by default it is one or two.
  const patient = ["--heartbeat-interval=1000", "--election-timeout=10000"];
  await using slow = await startEtcd({ members: 3, flags: patient, startTimeoutMs: 60_000 });
  const frozen = await slow.leader({ timeoutMs: 60_000 });
  await frozen.pause();
  const { code, lines } = await examined("--endpoints", slow.endpoints.join(","), "--command-timeout", "2s");
  expect(code).toBe(1);
  expect(of(lines, "leader").filter(({ level }) => level === "bad")).toMatchObject([
    { found: `${frozen.name} is the leader and does not answer`, todo: expect.stringContaining("choose another one") },
  ]);
}, 120_000);

test("nothing that can be reached is bad, and says so for each check", async () => {
  const { code, lines } = await examined("--endpoints", "127.0.0.1:1", "--command-timeout", "500ms");
  expect(code).toBe(1);
  expect(of(lines, "endpoint")).toMatchObject([{ level: "bad", found: expect.stringContaining("127.0.0.1:1") }]);
  for (const check of ["alarms", "members", "authentication", "lease", "watch"]) {
    expect(of(lines, check), check).toMatchObject([{ level: "bad", todo: "see the lines of the endpoints" }]);
  }
});

test("https for a plain etcd: each line says so, and none blames streams", async () => {
  const https = cluster.endpoints.map((endpoint) => endpoint.replace("http:", "https:"));
  const { code, lines } = await examined("--endpoints", https.join(","), "--command-timeout", "2s");
  expect(code).toBe(1);
  expect(
    of(lines, "endpoint")
      .map(({ found }) => found)
      .sort(),
  ).toEqual(https.map((endpoint) => `${endpoint}: it speaks no TLS: write it as http://`).sort());
  expect(of(lines, "watch")).toMatchObject([
    { found: expect.stringContaining("it speaks no TLS"), todo: "see the lines of the endpoints" },
  ]);
});

test.skipIf(old === undefined)(
  "an old etcd is named with its version, and what it cannot say is left out",
  async () => {
    await using ancient = await startEtcd({ binary: old as string });
    const { code, lines } = await examined("--endpoints", ancient.endpoints.join(","));
    expect(of(lines, "version")).toMatchObject([{ level: "warn", found: expect.stringContaining("3.4.") }]);
    expect(of(lines, "authentication")).toMatchObject([
      { level: "ok", found: "this etcd does not say whether it is on" },
    ]);
    expect(code).toBe(0);
  },
);

test("a renewal is compared with the TTL of registrations", () => {
  expect(judgeRenewal(10, undefined)).toMatchObject({ level: "ok", found: "a renewal takes 10.0 ms" });
  expect(judgeRenewal(400, 3)).toMatchObject({
    level: "warn",
    found: expect.stringContaining("TTL of registrations is 3 s"),
  });
  expect(judgeRenewal(1_100, 3)).toMatchObject({ level: "bad" });
});

test("a stalled event loop and a stepped clock are seen", async () => {
  let steppedMs = 0;
  const here = new ProcessWatch(() => Date.now() + steppedMs);
  await sleep(20);
  const endMs = performance.now() + 700;
  while (performance.now() < endMs);
  steppedMs = -3_000;
  await sleep(20);
  const findings = await here.findings();
  expect(findings).toMatchObject([
    { level: "warn", check: "event loop" },
    { level: "warn", check: "clock", found: expect.stringMatching(/moved by -(2\d|30)\d\d ms/) },
  ]);
});

test.each([
  ["3.3.25", "bad"],
  ["3.4.44", "warn"],
  ["3.5.2", "bad"],
  ["3.5.16", "warn"],
  ["3.5.33", "ok"],
  ["3.6.0-rc.1", "warn"],
  ["3.6.14", "ok"],
  ["3.8.0", "ok"],
])("etcd %s is %s", (version, level) => {
  const { level: judged, todo = "" } = judgeVersion("m1", version);
  expect(judged).toBe(level);
  // The package has no docs.
  expect(todo).not.toMatch(/\.md\b/);
});

test.each([
  ["Nov 27 00:00:00 2026 GMT", undefined, "bad", "expired"],
  ["Dec 20 00:00:00 2026 GMT", undefined, "warn", "for 22 days"],
  ["Nov 28 00:00:00 2027 GMT", undefined, "ok", "for 365 days"],
  ["Nov 28 00:00:00 2027 GMT", "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "bad", "UNABLE_TO_VERIFY"],
])("a certificate until %s, with the problem %s, is %s", (until, problem, level, text) => {
  const certificate = { valid_to: until } as PeerCertificate;
  const finding = judgeCertificate("https://m1:2379", certificate, problem, Date.parse("Nov 28 00:00:00 2026 GMT"));
  expect(finding).toMatchObject({ level, found: expect.stringContaining(text) });
});

test("a clock that did not move moved by 0 ms, not by -0", async () => {
  // Read before the monotonic one that it is compared with.
  const findings = await new ProcessWatch(() => performance.now()).findings();
  expect(findings.map(({ found }) => found).join()).toMatch(/the clock moved by (0|-[1-9]\d*) ms/);
});
