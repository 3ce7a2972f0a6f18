import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, prefix, type SnapshotProgress } from "../../../src/index.ts";
import { type EtcdCluster, findEtcd, startEtcd } from "../../../testing/index.ts";
import { etcdctlEnv, findEtcdctl } from "../../recipes/candidacy/etcdctl.ts";
import { run } from "../../support/child.ts";
import { snapshotTools } from "../../support/etcd-backup.ts";
import { joinCluster, peerEnvironment } from "../../support/learner.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";

// What operators do, on a real cluster of three; etcdctl says what stands there.

const QUOTA = 16 * 2 ** 20;

let cluster: EtcdCluster;
let etcd: EtcdClient;
let folder: string;

beforeAll(async () => {
  cluster = await startEtcd({ members: 3, flags: [`--quota-backend-bytes=${QUOTA}`] });
  etcd = new EtcdClient(cluster.clientOptions);
  folder = await mkdtemp(join(tmpdir(), "etcd-recipes-admin-"));
});
afterAll(async () => {
  await etcd?.close();
  await cluster?.close();
  await rm(folder, { recursive: true, force: true });
});

async function etcdctl<Answer>(...args: string[]): Promise<Answer> {
  const given = ["--endpoints", cluster.endpoints.join(","), "-w", "json", ...args];
  return JSON.parse((await run(await findEtcdctl(), given, { env: etcdctlEnv })).stdout);
}

interface Listed {
  readonly members: readonly { readonly ID: bigint; readonly name?: string; readonly isLearner?: boolean }[];
}

/** Of the ids only their last digits survive JSON's numbers: names and learners are compared. */
async function listed() {
  const { members } = await etcdctl<Listed>("member", "list");
  return members.map(({ name = "", isLearner = false }) => `${name} ${isLearner}`).sort();
}

/** Puts one key after the other. */
function writeAllTheTime() {
  let stopped = false;
  const traffic = (async () => {
    let written = 0;
    for (; !stopped; written++) await etcd.put(`/traffic/${written}`, "v");
    return written;
  })();
  traffic.catch(() => {});
  const stop = () => {
    stopped = true;
    return traffic;
  };
  return { stop, [Symbol.asyncDispose]: () => stop().then(() => {}) };
}

test("status() has every field, of each endpoint, and says what etcdctl says", async () => {
  await etcd.put("/status", "v");
  const ask = () => etcdctl<{ Endpoint: string; Status: Record<string, never> }[]>("endpoint", "status");
  const sizes = (answer: Awaited<ReturnType<typeof ask>>) =>
    answer.map(({ Status: { dbSize, dbSizeInUse, raftTerm } }) => [dbSize, dbSizeInUse, raftTerm].join()).join(";");
  // What is in use changes when etcd commits what was put, up to 100 ms later.
  const { received, statuses } = await until(async () => {
    const received = await ask();
    const statuses = await Promise.all(etcd.endpoints.map((endpoint) => etcd.maintenance.status({ endpoint })));
    return sizes(await ask()) === sizes(received) ? { received, statuses } : undefined;
  });
  expect(new Set(statuses.map(({ memberId }) => memberId)).size).toBe(3);
  expect(new Set(statuses.map(({ clusterId }) => clusterId)).size).toBe(1);
  for (const status of statuses) {
    const { Status } = received.find(({ Endpoint }) => Endpoint === status.endpoint) as (typeof received)[number];
    const { version, dbSize, raftTerm, dbSizeInUse } = Status;
    expect(status).toMatchObject({ version, raftTerm, dbSizeBytes: dbSize, dbSizeInUseBytes: dbSizeInUse });
    expect(status).toMatchObject({
      leaderId: statuses[0]?.leaderId,
      isLearner: false,
      errors: [],
      version: cluster.version,
    });
    expect(status.raftAppliedIndex).toBeLessThanOrEqual(status.raftIndex);
    expect(status.raftIndex).toBeGreaterThan(0);
  }
  expect(statuses.filter(({ memberId, leaderId }) => memberId === leaderId)).toHaveLength(1);
  expect(await etcd.status()).toMatchObject({ clusterId: statuses[0]?.clusterId, endpoint: undefined });
  const error = await etcdErrorOf(etcd.maintenance.status({ endpoint: "http://127.0.0.1:1" }));
  expect(error).toMatchObject({ code: "ETCD_INVALID_OPTION", option: "endpoint" });
});

test("a member is added as a learner, promoted and removed under traffic, and no write is lost", async ({ skip }) => {
  const env = peerEnvironment(cluster);
  if (!env) return skip("the way to the peers is not known here");
  await using traffic = writeAllTheTime();
  const before = await etcd.cluster.members();
  expect(before.map(({ name, isLearner }) => `${name} ${isLearner}`).sort()).toEqual(await listed());
  expect(before.flatMap(({ clientUrls }) => clientUrls).sort()).toEqual([...cluster.endpoints].sort());
  let id = "";
  await using fourth = await joinCluster(
    "fourth",
    before,
    async (peerUrl) => {
      const { member, members } = await etcd.cluster.addLearner(peerUrl);
      expect(member).toMatchObject({ name: "", peerUrls: [peerUrl], clientUrls: [], isLearner: true });
      expect(members).toHaveLength(4);
      id = member.id;
      expect(await etcdErrorOf(etcd.cluster.addLearner(peerUrl))).toMatchObject({ code: "ETCD_CONFLICT" });
      const early = await etcdErrorOf(etcd.cluster.promote(id));
      expect(early).toMatchObject({ code: "ETCD_REQUEST_REFUSED", retryable: true, outcomeUnknown: false });
    },
    env,
  );
  await until(
    () =>
      etcd.cluster.promote(id).catch((error) => {
        if (!error.retryable) throw error;
      }),
    { timeoutMs: 20_000, message: "the learner is promoted" },
  );
  expect(await listed()).toEqual(["fourth false", "m1 false", "m2 false", "m3 false"]);
  const refused = await etcdErrorOf(etcd.cluster.promote(id));
  expect(refused).toMatchObject({ code: "ETCD_REQUEST_REFUSED", retryable: false });
  const { peerUrls } = (await etcd.cluster.members()).find((member) => member.id === id) ?? { peerUrls: [] };
  expect(await etcd.cluster.update(id, peerUrls)).toHaveLength(4);
  // It serves what was written meanwhile.
  await using own = new EtcdClient({ endpoints: fourth.endpoint });
  await until(async () => (await own.range(prefix("/traffic/"), { countOnly: true })).count >= 1);
  expect(await etcd.cluster.remove(id)).toHaveLength(3);
  expect(await listed()).toEqual(["m1 false", "m2 false", "m3 false"]);
  expect(await etcdErrorOf(etcd.cluster.remove(id))).toMatchObject({ code: "ETCD_REQUEST_REFUSED" });
  const written = await traffic.stop();
  expect((await etcd.range(prefix("/traffic/"), { countOnly: true })).count).toBe(written);
});

test("moveLeader() makes each member the leader in turn, and refuses what is none", async () => {
  for (const { id } of await etcd.cluster.members({ serializable: true })) {
    await etcd.maintenance.moveLeader(id);
    await etcd.maintenance.moveLeader(id);
    await until(async () => (await cluster.leader()) && (await etcd.status()).leaderId === id);
  }
  const error = await etcdErrorOf(etcd.maintenance.moveLeader("1"));
  expect(error).toMatchObject({ code: "ETCD_REQUEST_REFUSED", outcomeUnknown: false });
});

test("hashKv() of all members is the same at one revision", async () => {
  const { revision } = await etcd.put("/hash", "v");
  const hashes = await Promise.all(
    etcd.endpoints.map((endpoint) =>
      until(() => etcd.maintenance.hashKv({ endpoint, revision }), { message: `the revision at ${endpoint}` }),
    ),
  );
  expect(new Set(hashes.map(({ hash, compactRevision }) => `${hash} ${compactRevision}`)).size).toBe(1);
  expect(new Set(hashes.map(({ memberId }) => memberId)).size).toBe(3);
  const future = await etcdErrorOf(etcd.maintenance.hashKv({ revision: revision + 1_000_000 }));
  expect(future).toMatchObject({ code: "ETCD_FUTURE_REVISION" });
});

test("a snapshot is whole and restored by etcdutl; one that fails leaves nothing", async ({ skip }) => {
  const file = join(folder, "snapshot.db");
  await etcd.put("/saved", "value");
  const progress: SnapshotProgress[] = [];
  const saved = await etcd.maintenance.snapshot(file, { onProgress: (it) => progress.push(it) });
  const bytes = await readFile(file);
  expect(saved).toMatchObject({ bytes: bytes.length });
  expect(createHash("sha256").update(bytes.subarray(0, -32)).digest("hex")).toBe(saved.sha256);
  expect(bytes.subarray(-32).toString("hex")).toBe(saved.sha256);
  expect(progress.at(-1)).toEqual({ writtenBytes: saved.bytes, totalBytes: saved.bytes });
  expect(progress.every(({ totalBytes }) => totalBytes === saved.bytes)).toBe(true);
  expect((await stat(file)).mode & 0o777).toBe(0o600);

  // One in the same place that ends early, by its caller's own doing, takes nothing of it away.
  const aborting = new AbortController();
  const stop = () => aborting.abort(new Error("enough"));
  const { signal } = aborting;
  await expect(etcd.maintenance.snapshot(file, { signal, onProgress: stop })).rejects.toThrow("enough");
  const fail = () => {
    throw new Error("of the listener");
  };
  await expect(etcd.maintenance.snapshot(file, { onProgress: fail })).rejects.toThrow("of the listener");
  await expect(etcd.maintenance.snapshot(join(folder, "none", "s.db"))).rejects.toMatchObject({
    code: "ETCD_INVALID_OPTION",
    cause: { code: "ENOENT" },
  });
  expect(await readdir(folder)).toEqual(["snapshot.db"]);
  expect(await readFile(file)).toEqual(bytes);

  const tools = snapshotTools((await findEtcd()).path);
  if (!tools) return skip("there is no etcdctl beside etcd");
  const shown = await run(tools.restorer, ["snapshot", "status", file, "-w", "json"], { env: etcdctlEnv });
  expect(JSON.parse(shown.stdout).totalKey).toBeGreaterThan(0);
  await run(tools.restorer, ["snapshot", "restore", file, `--data-dir=${join(folder, "restored")}`], {
    env: etcdctlEnv,
  });
  expect(await readdir(join(folder, "restored"))).toEqual(["member"]);
  await rm(join(folder, "restored"), { recursive: true });
});

test("the NOSPACE alarm is raised, reported and disarmed, after room is made", async () => {
  const value = Buffer.alloc(1_000_000);
  const fill = async () => {
    for (let at = 0; at < 60; at++) await etcd.put("/fill", value);
  };
  expect(await etcdErrorOf(fill())).toMatchObject({ code: "ETCD_EXHAUSTED" });
  const alarms = await etcd.maintenance.alarms();
  expect(alarms[0]).toMatchObject({ alarm: "nospace", memberId: expect.stringMatching(/^[0-9a-f]+$/) });
  const ids = (await etcd.cluster.members()).map(({ id }) => id);
  expect(ids).toEqual(expect.arrayContaining(alarms.map(({ memberId }) => memberId)));
  expect((await etcdctl<{ alarms: unknown[] }>("alarm", "list")).alarms.length).toBeGreaterThan(0);
  expect((await etcd.status()).errors.join()).toContain("NOSPACE");

  expect(await etcd.maintenance.disarm({ alarm: "corrupt" })).toEqual([]);
  const { revision } = await etcd.delete("/fill");
  await cluster.compact(revision);
  const before = await Promise.all(etcd.endpoints.map((endpoint) => etcd.status({ endpoint })));
  // Compaction goes on after its answer; what it has freed is what a defragmentation gives back.
  for (const [at, endpoint] of etcd.endpoints.entries()) {
    const dbSizeBytes = before[at]?.dbSizeBytes ?? 0;
    await until(async () => {
      await etcd.maintenance.defragment({ endpoint });
      return (await etcd.status({ endpoint })).dbSizeBytes < dbSizeBytes / 2;
    });
  }
  const disarmed = await etcd.maintenance.disarm();
  expect(disarmed.length).toBeGreaterThan(0);
  expect(await etcd.maintenance.alarms()).toEqual([]);
  await etcd.put("/fill", "small");
});

test("a downgrade is validated, begun and cancelled, where etcd can", async () => {
  const [major, minor] = cluster.version.split(".").map(Number) as [number, number];
  const below = `${major}.${minor - 1}`;
  const refused = await etcdErrorOf(etcd.maintenance.downgrade("validate", `${major}.${minor - 2}`));
  expect(refused).toMatchObject({ code: "ETCD_REQUEST_REFUSED" });
  if (minor < 5) return;
  expect(await etcd.maintenance.downgrade("validate", below)).toEqual({ version: `${major}.${minor}.0` });
  // Etcd 3.5 does both, and answers neither.
  const change = async (...args: Parameters<typeof etcd.maintenance.downgrade>) => {
    const { error } = await outcomeOf(etcd.maintenance.downgrade(args[0], args[1], { timeoutMs: 500 }));
    if (minor > 5) expect(error).toBeUndefined();
    else expect(error).toMatchObject({ outcomeUnknown: true });
    const again = await etcdErrorOf(etcd.maintenance.downgrade(...args));
    expect(again).toMatchObject({ code: "ETCD_REQUEST_REFUSED", outcomeUnknown: false });
  };
  await change("enable", below);
  await change("cancel");
});
