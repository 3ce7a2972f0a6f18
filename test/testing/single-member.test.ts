import { access, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readStatus } from "../../testing/gateway.ts";
import { type EtcdCluster, EtcdStartError, findEtcd, startEtcd } from "../../testing/index.ts";
import { Gateway, get, put } from "../support/gateway/index.ts";
import { until } from "../support/until.ts";

describe("a cluster of one", () => {
  let cluster: EtcdCluster;
  let endpoint: string;

  beforeAll(async () => {
    cluster = await startEtcd();
    endpoint = cluster.member(0).endpoint;
  });
  afterAll(() => cluster.close());

  test("serves as soon as startEtcd resolves", async () => {
    await put(endpoint, "greeting", "hello");
    expect(await get(endpoint, "greeting")).toBe("hello");
    expect(cluster.endpoints).toEqual([endpoint]);
    expect((await cluster.leader()).index).toBe(0);
  });

  test("a killed member is gone when kill resolves, and comes back with its data", async () => {
    const member = cluster.member(0);
    const pid = member.pid ?? 0;
    await put(endpoint, "kept", "over a kill");
    await member.kill();
    expect(() => process.kill(pid, 0)).toThrow();
    expect(member).toMatchObject({ state: "stopped", pid: undefined });
    await expect(get(endpoint, "kept")).rejects.toThrow();
    await member.restart();
    expect(member.pid).not.toBe(pid);
    expect(await get(endpoint, "kept")).toBe("over a kill");
  });

  // A limit below the 15 s after which SIGKILL would follow.
  test("restart ends a running or a paused member first, cleanly", { timeout: 14_000 }, async () => {
    const member = cluster.member(0);
    for (const before of ["running", "paused"]) {
      if (before === "paused") await member.pause();
      const pid = member.pid;
      await member.restart();
      expect(member.state).toBe("running");
      expect(member.pid).not.toBe(pid);
      expect(await get(endpoint, "greeting")).toBe("hello");
    }
  });

  test("a paused member accepts connections and answers nothing until it is resumed", async () => {
    const member = cluster.member(0);
    await member.pause();
    expect(member.state).toBe("paused");
    const answer = get(endpoint, "greeting", { timeoutMs: 1_000 }).catch((error: Error) => error.name);
    expect(await answer).toBe("TimeoutError");
    await member.resume();
    expect(await get(endpoint, "greeting")).toBe("hello");
  });

  test("a member that ends by itself is seen as stopped", async () => {
    const member = cluster.member(0);
    process.kill(member.pid ?? 0, "SIGKILL");
    await until(() => member.state === "stopped");
    await member.restart();
  });

  test("what restarts it is done one after the other", { timeout: 60_000 }, async () => {
    const member = cluster.member(0);
    await Promise.all([cluster.restart(), member.restart(), cluster.wipe(), member.restart(), cluster.wipe()]);
    expect(member.state).toBe("running");
    await put(endpoint, "greeting", "hello");
    expect((await cluster.leader()).index).toBe(0);
    await member.kill();
    expect(member.state).toBe("stopped");
    await member.restart();
  });

  test("a wiped one keeps endpoints and ids and has an empty store at revision 1", async () => {
    await put(endpoint, "lost", "in the wipe");
    const before = await readStatus(endpoint);
    await cluster.wipe();
    const after = await readStatus(endpoint);
    expect(cluster.endpoints).toEqual([endpoint]);
    expect(after).toMatchObject({ clusterId: before.clusterId, memberId: before.memberId, revision: 1 });
    expect(before.revision).toBeGreaterThan(1);
    expect(await get(endpoint, "lost")).toBeUndefined();
  });

  test("compact makes the revisions before it unreadable", async () => {
    await put(endpoint, "counted", "1");
    await put(endpoint, "counted", "2");
    const { revision } = await readStatus(endpoint);
    await cluster.compact(revision);
    const old = new Gateway(endpoint).post("kv/range", { key: btoa("counted"), revision: String(revision - 1) });
    await expect(old).rejects.toThrow("required revision has been compacted");
  });

  test("has no peers to be isolated from", async () => {
    await expect(cluster.member(0).isolate()).rejects.toThrow("no peers");
  });
});

test("a closed cluster is gone, can be closed again and refuses everything else", async () => {
  const cluster = await startEtcd();
  const pid = cluster.member(0).pid ?? 0;
  await Promise.all([cluster.close(), cluster.close()]);
  await cluster.close();
  expect(() => process.kill(pid, 0)).toThrow();
  await expect(cluster.member(0).restart()).rejects.toThrow("closed");
});

test("two clusters side by side do not share anything", async () => {
  await using one = await startEtcd();
  await using other = await startEtcd();
  await put(one.member(0).endpoint, "mine", "1");
  expect(await get(other.member(0).endpoint, "mine")).toBeUndefined();
});

test("the caller's flags reach etcd, the parent's ETCD_ variables do not", async () => {
  process.env.ETCD_NAME = "from-the-environment";
  try {
    await using cluster = await startEtcd({ flags: ["--max-request-bytes=1000"] });
    const { endpoint } = cluster.member(0);
    await expect(put(endpoint, "big", "x".repeat(2_000))).rejects.toThrow("request is too large");
    const members = await new Gateway(endpoint).post("cluster/member/list", {});
    expect(members).toMatchObject({ members: [{ name: "m1" }] });
  } finally {
    delete process.env.ETCD_NAME;
  }
});

test("an etcd that does not start is reported with the end of its log", async () => {
  const error = await startEtcd({ flags: ["--no-such-flag"] }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(EtcdStartError);
  expect(error).toMatchObject({ code: "ETCD_START_FAILED", logTail: expect.stringContaining("no-such-flag") });
});

test("a port that is taken before etcd binds it is no failure: others are tried", async () => {
  const { path } = await findEtcd();
  const folder = await mkdtemp(join(tmpdir(), "unlucky-"));
  const binary = join(folder, "etcd");
  const script = `#!/bin/sh
if [ "$1" != --version ] && mkdir "${folder}/tried" 2>/dev/null; then
  echo "listen tcp 127.0.0.1:2379: bind: address already in use"
  exit 1
fi
exec "${path}" "$@"
`;
  await writeFile(binary, script, { mode: 0o755 });
  try {
    await using cluster = await startEtcd({ binary });
    expect((await cluster.leader()).index).toBe(0);
    await expect(access(join(folder, "tried"))).resolves.toBeUndefined();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("an option that there is not is refused, and so is a limit that is none", async () => {
  const wrong: [options: object, type: typeof RangeError | typeof TypeError, message: string][] = [
    [{ member: 3 }, RangeError, "startEtcd has no option member"],
    [{ startTimeoutMs: "30000" }, TypeError, "startTimeoutMs must be a number"],
    [{ startTimeoutMs: Number.NaN }, RangeError, "startTimeoutMs must be above 0, got NaN"],
    [{ startTimeoutMs: 0 }, RangeError, "startTimeoutMs must be above 0, got 0"],
  ];
  for (const [options, type, message] of wrong) await expectRefusal(options, type, message);
});

test("what is no options is refused, and so is what is no text in them", async () => {
  const wrong: [options: unknown, message: string][] = [
    [null, "options must be an object, not null"],
    [5, "options must be an object, not a number"],
    ["--quota-backend-bytes=16777216", "options must be an object, not a string"],
    [["--quota-backend-bytes=16777216"], "options must be an object, not an array"],
    [{ env: { GOGC: 5 } }, "env.GOGC must be a string"],
    // It could not be handed to the keeper, either.
    [{ env: { V: 5n } }, "env.V must be a string"],
    [{ env: ["GOGC=5"] }, "env must be an object, not an array"],
    [{ flags: ["--max-txn-ops", 5] }, "flags must be an array of strings"],
    [{ binary: 5 }, "binary must be a path"],
    [{ tls: [] }, "tls must be true, false or an object, not an array"],
    [{ auth: [] }, "auth must be true, false or an object, not an array"],
  ];
  for (const [options, message] of wrong) await expectRefusal(options, TypeError, message);
});

test("a number of members that makes no sense is refused", async () => {
  for (const members of [0, -1, 1.5, 10, Number.NaN]) {
    await expect(startEtcd({ members })).rejects.toThrow(RangeError);
  }
});

async function expectRefusal(options: unknown, type: typeof RangeError | typeof TypeError, message: string) {
  const starting = startEtcd(options as object);
  // One that is not refused would outlive the test.
  starting.then(
    (cluster) => cluster.close(),
    () => {},
  );
  await expect(starting, message).rejects.toThrow(type);
  await expect(starting, message).rejects.toThrow(message);
}
