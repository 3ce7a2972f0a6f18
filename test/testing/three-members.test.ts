import { afterAll, beforeAll, expect, test } from "vitest";
import { isServing, readStatus } from "../../testing/gateway.ts";
import { ClusterTimeoutError, type EtcdCluster, type EtcdMember, startEtcd } from "../../testing/index.ts";
import { get, put } from "../support/gateway/index.ts";
import { until } from "../support/until.ts";

let cluster: EtcdCluster;

beforeAll(async () => {
  cluster = await startEtcd({ members: 3 });
});
afterAll(() => cluster.close());

async function followers(): Promise<EtcdMember[]> {
  const leader = await cluster.leader();
  return cluster.members.filter((member) => member !== leader);
}

async function untilAllServe(): Promise<void> {
  for (const { name, endpoint } of cluster.members) {
    await until(() => isServing(endpoint), { timeoutMs: 20_000, message: `${name} serves` });
  }
}

function untilLeaderless({ name, endpoint }: EtcdMember): Promise<boolean> {
  return until(async () => (await readStatus(endpoint)).leaderId === "0", { message: `${name} knows no leader` });
}

test("every member serves as soon as startEtcd resolves", async () => {
  await put(cluster.member(0).endpoint, "written", "to one");
  for (const { endpoint } of cluster.members) expect(await get(endpoint, "written")).toBe("to one");
  expect(new Set(cluster.endpoints).size).toBe(3);
});

test("an isolated leader loses its leadership, another is elected, and heal brings it back as a follower", async () => {
  const old = await cluster.leader();
  await put(old.endpoint, "before", "isolation");
  await old.isolate();
  expect(old).toMatchObject({ state: "running", isolated: true });
  const elected = await cluster.leader();
  expect(elected).not.toBe(old);
  await untilLeaderless(old);
  await put(elected.endpoint, "during", "isolation");
  expect(await get(old.endpoint, "before", { serializable: true })).toBe("isolation");
  expect(await get(old.endpoint, "during", { serializable: true })).toBeUndefined();
  await old.heal();
  await until(async () => (await get(old.endpoint, "during")) === "isolation", { message: "it has caught up" });
  await untilAllServe();
});

test("an isolated follower has no leader and the others go on", async () => {
  const [follower] = await followers();
  await follower?.isolate();
  await untilLeaderless(follower as EtcdMember);
  const leader = await cluster.leader();
  await put(leader.endpoint, "majority", "goes on");
  await follower?.heal();
  await untilAllServe();
});

test("an isolated member that is restarted stays isolated", async () => {
  const [follower] = (await followers()) as [EtcdMember];
  await follower.isolate();
  await follower.restart();
  expect(follower).toMatchObject({ state: "running", isolated: true });
  await put((await cluster.leader()).endpoint, "unseen", "by the isolated one");
  expect(await isServing(follower.endpoint)).toBe(false);
  await follower.heal();
  await untilAllServe();
});

test("no leader is there while a majority is down, and restart brings the members back one by one", async () => {
  const [first, second] = (await followers()) as [EtcdMember, EtcdMember];
  await Promise.all([first.kill(), second.kill()]);
  await expect(cluster.leader({ timeoutMs: 300 })).rejects.toThrow(ClusterTimeoutError);
  await first.restart();
  await second.restart();
  await untilAllServe();
});

test("all members killed at once come back with their data, one by one or together", async () => {
  await put((await cluster.leader()).endpoint, "kept", "over it all");
  await cluster.kill();
  for (const member of cluster.members) await member.restart();
  await untilAllServe();
  await cluster.kill();
  await cluster.restart();
  for (const { endpoint } of cluster.members) expect(await get(endpoint, "kept")).toBe("over it all");
});

test("a paused leader is followed by another one", async () => {
  const paused = await cluster.leader();
  await paused.pause();
  expect(await cluster.leader()).not.toBe(paused);
  await paused.resume();
  await untilAllServe();
});

test("the members go on while the event loop of their parent is blocked", async () => {
  const { endpoint } = await cluster.leader();
  const before = await readStatus(endpoint);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000);
  const after = await readStatus(endpoint);
  expect(after).toMatchObject({ leaderId: before.leaderId, raftTerm: before.raftTerm });
});

test("moveLeader moves to the next member or to the one that is named", async () => {
  const before = await cluster.leader();
  const next = await cluster.moveLeader();
  expect(next).not.toBe(before);
  expect(await cluster.leader()).toBe(next);
  expect(await cluster.moveLeader(before.index)).toBe(before);
  expect(await cluster.moveLeader(before.index)).toBe(before);
  await expect(cluster.moveLeader(7)).rejects.toThrow(RangeError);
});

test("a replaced member is another one under the same name and endpoint, with the data of the others", async () => {
  for (const member of [await cluster.leader(), (await followers())[0] as EtcdMember]) {
    await put(member.endpoint, "replicated", member.name);
    const before = await readStatus(member.endpoint);
    await member.replace();
    const after = await readStatus(member.endpoint);
    expect(after.clusterId).toBe(before.clusterId);
    expect(after.memberId).not.toBe(before.memberId);
    expect(await get(member.endpoint, "replicated")).toBe(member.name);
    await member.restart();
    expect((await readStatus(member.endpoint)).memberId).toBe(after.memberId);
  }
});

test("a wiped cluster has the ids it began with and an empty store, whatever was broken before", async () => {
  await cluster.wipe();
  const before = await Promise.all(cluster.endpoints.map((endpoint) => readStatus(endpoint)));
  await put(cluster.member(0).endpoint, "lost", "in the wipe");
  await cluster.member(0).isolate();
  await cluster.member(1).pause();
  await cluster.member(2).kill();
  await cluster.wipe();
  const after = await Promise.all(cluster.endpoints.map((endpoint) => readStatus(endpoint)));
  for (const [index, status] of after.entries()) {
    const { clusterId, memberId } = before[index] ?? {};
    expect(status).toMatchObject({ clusterId, memberId, revision: 1 });
  }
  for (const { endpoint } of cluster.members) expect(await get(endpoint, "lost")).toBeUndefined();
});
