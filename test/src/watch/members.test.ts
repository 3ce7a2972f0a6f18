import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  compareModRevision,
  EtcdClient,
  keyMissing,
  type Mirror,
  type MirrorStatus,
  prefix,
  putOp,
} from "../../../src/index.ts";
import { type EtcdCluster, type EtcdMember, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { watcherCounts } from "../../support/gateway/index.ts";
import { record } from "../../support/record.ts";
import { stateOf } from "../../support/replica.ts";
import { until } from "../../support/until.ts";

const noticed = { timeoutMs: 25_000 };

describe("a cluster of three under a mirror", () => {
  let cluster: EtcdCluster;
  let proxies: FaultProxy[];
  let writer: EtcdClient;

  beforeAll(async () => {
    cluster = await startEtcd({ members: 3 });
    proxies = await Promise.all(cluster.endpoints.map((endpoint) => FaultProxy.start(endpoint)));
    writer = new EtcdClient({ endpoints: cluster.endpoints });
  });
  afterEach(async () => {
    await Promise.all(cluster.members.map((member) => Promise.all([member.resume(), member.heal()])));
    await cluster.leader();
  });
  afterAll(async () => {
    await writer.close();
    await Promise.all(proxies.map((proxy) => proxy.close()));
    await cluster.close();
  });

  interface Followed extends AsyncDisposable {
    readonly mirror: Mirror;
    readonly statuses: MirrorStatus[];
    /** The member that the streams go to. */
    connected(): Promise<EtcdMember>;
    /** Waits until everything that was written by now is seen, by the watch too, each event once. */
    sees(key: string, value: string): Promise<void>;
  }

  async function follow(space: string): Promise<Followed> {
    const reader = new EtcdClient({ endpoints: proxies.map(({ endpoint }) => endpoint) });
    const statuses: MirrorStatus[] = [];
    const mirror = reader.mirror(prefix(space), { onStatus: (status) => statuses.push(status) });
    const watch = reader.watch(prefix(space));
    const recorded = record(watch);
    await Promise.all([mirror.ready, watch.ready]);
    const written: string[] = [];
    return {
      mirror,
      statuses,
      connected: () =>
        until(async () => {
          const counts = await Promise.all(cluster.endpoints.map(watcherCounts));
          const followedBy = cluster.members.filter((_, index) => counts[index]?.watchers);
          return followedBy.length === 1 ? followedBy[0] : undefined;
        }),
      async sees(key, value) {
        const revision = await until(() => writeOnce(space + key, value), noticed);
        written.push(value);
        await until(() => mirror.revision >= revision && mirror.status === "live", noticed);
        await until(() => (recorded.items.at(-1)?.revision ?? 0) >= revision, noticed);
        expect(stateOf(mirror.entries.values())).toEqual(stateOf((await writer.range(prefix(space))).kvs));
        const values = recorded.items.flatMap(({ events }) => events.map(({ kv }) => kv.text));
        expect(values.filter((seen) => written.includes(seen))).toEqual(written);
        expect(recorded.end).toBeUndefined();
      },
      [Symbol.asyncDispose]: () => reader.close(),
    };
  }

  /**
   * Writes a value unless it stands there, as it may after a call of unknown outcome; the revision of its one write.
   */
  async function writeOnce(key: string, value: string): Promise<number | undefined> {
    const found = await writer.get(key);
    if (found?.text === value) return found.modRevision;
    const { succeeded, revision } = await writer.txn({
      compare: [found ? compareModRevision(key, "equal", found.modRevision) : keyMissing(key)],
      success: [putOp(key, value)],
    });
    return succeeded ? revision : undefined;
  }

  test("whose connected member is frozen by SIGSTOP is followed on another", async () => {
    await using followed = await follow("frozen/");
    await followed.sees("a", "before");
    await (await followed.connected()).pause();
    await followed.sees("a", "during");
    expect(followed.statuses).toEqual(["live", "stale", "live"]);
  });

  test("of which one member is frozen is followed by a client that comes now, wherever it begins", async () => {
    await cluster.member(1).pause();
    const readers = await Promise.all(Array.from({ length: 6 }, (_, number) => follow(`new-${number}/`)));
    await Promise.all(readers.map((followed) => followed.sees("a", "during")));
    await Promise.all(readers.map((followed) => followed[Symbol.asyncDispose]()));
  });

  test("whose connected member is cut from its peers is followed on another, though the stream is alive", async () => {
    await using followed = await follow("isolated/");
    await followed.sees("a", "before");
    await (await followed.connected()).isolate();
    await followed.sees("a", "during");
    expect(followed.statuses).toEqual(["live", "stale", "live"]);
  });

  test("that has no leader leaves the mirror stale with its entries, and live when it has one again", async () => {
    await using followed = await follow("leaderless/");
    await followed.sees("a", "before");
    const connected = await followed.connected();
    const others = cluster.members.filter((member) => member !== connected);
    const before = stateOf(followed.mirror.entries.values());
    await Promise.all(others.map((member) => member.pause()));
    await until(() => followed.mirror.status === "stale", noticed);
    expect(stateOf(followed.mirror.entries.values())).toEqual(before);
    await Promise.all(others.map((member) => member.resume()));
    await followed.sees("a", "after");
    expect(followed.mirror.staleForMs).toBe(0);
  });

  test("whose leader is killed, or moves, loses no event", async () => {
    await using followed = await follow("leader/");
    await followed.sees("a", "before");
    await cluster.moveLeader();
    await followed.sees("a", "moved");
    const leader = await cluster.leader();
    await leader.kill();
    await followed.sees("a", "killed");
    await leader.restart();
    await followed.sees("b", "back");
  });
});
