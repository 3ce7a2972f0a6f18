import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import {
  EtcdClient,
  type KeyValue,
  type Mirror,
  type MirrorBatch,
  prefix,
  type WatchBatch,
} from "../../../src/index.ts";
import { FaultProxy, startEtcd } from "../../../testing/index.ts";
import { FencedWriter } from "../../support/fenced-writer.ts";
import { Replica, stateOf } from "../../support/replica.ts";
import { seeded } from "../../support/seeded.ts";
import { randomOps, type StoreModel } from "../../support/store-model.ts";
import { until } from "../../support/until.ts";
import { watchFaults } from "../../support/watch-history.ts";

const faultsLastMs = 12_000;
const space = "faulty/";
const keys = Array.from({ length: 10 }, (_, number) => `${space}${number < 5 ? "low" : "high"}/${number}`);

/** A stretch of a watch between two compactions that it could not pass. */
interface Segment {
  readonly startRevision: number;
  readonly batches: WatchBatch[];
}

/** One watch that begins again where a compaction allows; anything else that ends it is a fault. */
class FollowedWatch {
  readonly segments: Segment[] = [];
  readonly faults: string[] = [];
  readonly under: string;
  readonly previous: boolean;
  readonly #etcd: EtcdClient;
  readonly #closing = new AbortController();

  constructor(etcd: EtcdClient, under: string, startRevision: number, previous: boolean) {
    this.#etcd = etcd;
    this.under = under;
    this.previous = previous;
    void this.#follow(startRevision);
  }

  get revision(): number {
    return this.segments.at(-1)?.batches.at(-1)?.revision ?? 0;
  }

  close(): void {
    this.#closing.abort(new Error("the test is over"));
  }

  check(truth: StoreModel, upTo: number): string[] {
    const inRange = (key: string) => key.startsWith(this.under);
    return this.segments.flatMap(({ startRevision, batches }, index) => {
      // What a segment did not come to was compacted away under it.
      const reached = index === this.segments.length - 1 ? upTo : (batches.at(-1)?.revision ?? 0);
      return watchFaults({ truth, inRange, startRevision, batches, upTo: reached, previous: this.previous });
    });
  }

  async #follow(startRevision: number): Promise<void> {
    const { signal } = this.#closing;
    for (let from = startRevision; !signal.aborted; ) {
      const batches: WatchBatch[] = [];
      this.segments.push({ startRevision: from, batches });
      try {
        for await (const batch of this.#etcd.watch(prefix(this.under), {
          startRevision: from,
          previous: this.previous,
          signal,
        })) {
          batches.push(batch);
        }
      } catch (error) {
        if (signal.aborted) return;
        const { code, compactRevision } = error as { code?: string; compactRevision?: number };
        if (code !== "ETCD_COMPACTED" || compactRevision === undefined) {
          this.faults.push(`it ended with ${error}`);
          return;
        }
        if (compactRevision <= (batches.at(-1)?.revision ?? from - 1)) this.faults.push(`it ended with ${error}`);
        // Servers before 3.5.18 no longer report a deletion at the very revision of a compaction.
        from = compactRevision + 1;
      }
    }
  }
}

/** A mirror, and a reader of it, compared with the truth at every revision that they show. */
class FollowedMirror {
  readonly mirror: Mirror;
  readonly shown: { readonly revision: number; readonly entries: ReadonlyMap<string, KeyValue> }[] = [];
  readonly faults: string[] = [];
  readonly #replica = new Replica();

  constructor(etcd: EtcdClient, maxBufferedChanges: number, pause: (batch: MirrorBatch) => Promise<void>) {
    this.mirror = etcd.mirror(prefix(space), { maxBufferedChanges });
    void this.#read(pause);
  }

  check(truth: StoreModel): string[] {
    const wrong = this.shown.filter(
      ({ revision, entries }) => stateOf(entries.values()).join() !== stateOf(truth.at(revision).values()).join(),
    );
    return [...this.faults, ...wrong.map(({ revision }) => `the mirror's reader is wrong at ${revision}`)];
  }

  async #read(pause: (batch: MirrorBatch) => Promise<void>): Promise<void> {
    try {
      for await (const batch of this.mirror) {
        this.#replica.apply(batch);
        this.shown.push({ revision: batch.revision, entries: new Map(this.#replica.entries) });
        await pause(batch);
      }
    } catch (error) {
      this.faults.push(`the reader: ${error}`);
    }
  }
}

test("etcd's own watch assertions hold across random faults, and a mirror is true at every revision", async () => {
  const random = seeded("random faults");
  await using cluster = await startEtcd({ members: 3, flags: ["--experimental-watch-progress-notify-interval=300ms"] });
  const proxies = await Promise.all(cluster.endpoints.map((endpoint) => FaultProxy.start(endpoint)));
  await using direct = new EtcdClient({ endpoints: cluster.endpoints });
  const writer = new FencedWriter(direct, `${space}fence`);
  const first = (await writer.execute([])) ?? 1;
  const clients = [0, 1, 2].map(() => new EtcdClient({ endpoints: proxies.map(({ endpoint }) => endpoint) }));
  const watches = clients.flatMap((etcd, index) => [
    new FollowedWatch(etcd, space, first, index === 0),
    new FollowedWatch(etcd, `${space}low/`, first + random.between(1, 100), true),
  ]);
  const mirrors = clients.map(
    (etcd, index) =>
      // The second one reads slowly, so that it lags.
      new FollowedMirror(etcd, index === 1 ? 5 : 10_000, () => sleep(index === 1 ? 150 : 0)),
  );

  const deadline = performance.now() + faultsLastMs;
  const faulty = () => performance.now() < deadline;
  let last = first;
  const write = async () => {
    while (faulty()) last = (await writer.execute(randomOps(random, keys, 5))) ?? last;
  };
  const injected: string[] = [];
  const inject = async () => {
    while (faulty()) {
      await sleep(random.between(20, 250));
      const proxy = random.pick(proxies);
      const member = random.pick(cluster.members);
      const faults: Record<string, () => Promise<void> | void> = {
        cut: () => proxy.cut(),
        "cut all": () => {
          for (const each of proxies) each.cut();
        },
        delay: () => proxy.delay(random.between(0, 30)),
        "half close": () => proxy.halfClose(random.pick(["toServer", "toClient"] as const)),
        "black hole": async () => {
          proxy.blackHole(random.pick([undefined, "toServer", "toClient"] as const));
          await sleep(random.between(50, 400));
          await proxy.heal();
        },
        down: async () => {
          await proxy.down();
          await sleep(random.between(20, 200));
          await proxy.heal();
        },
        compact: () => cluster.compact(last - random.between(0, 60)).catch(() => {}),
        "compact at the head": () => cluster.compact(last).catch(() => {}),
        kill: async () => {
          await member.kill();
          await member.restart();
        },
        pause: async () => {
          await member.pause();
          await sleep(random.between(50, 800));
          await member.resume();
        },
        isolate: async () => {
          await member.isolate();
          await sleep(random.between(50, 800));
          await member.heal();
        },
        "move the leader": async () => {
          await cluster.moveLeader(undefined, { timeoutMs: 2_000 }).catch(() => {});
        },
      };
      // The light ones come often, those that take a second seldom.
      const name = random.chance(0.7) ? random.pick(Object.keys(faults).slice(0, 8)) : random.pick(Object.keys(faults));
      injected.push(name);
      await faults[name]?.();
    }
  };
  await Promise.all([write(), inject()]);
  await Promise.all([...proxies.map((proxy) => proxy.heal()), cluster.leader()]);

  const howFar = () => {
    const ofWatches = watches.map(({ under, revision }) => `${under} ${revision}`);
    const ofMirrors = mirrors.map(
      ({ mirror, shown, faults }) =>
        `mirror ${mirror.revision} (${mirror.status}), its reader ${shown.at(-1)?.revision} ${faults.join()}`,
    );
    return [...ofWatches, ...ofMirrors].join(", ");
  };
  const context = `TEST_SEED=${random.seed}, faults: ${injected.join(", ")}`;
  // A slow machine has written less meanwhile than where some of the watches begin.
  do last = (await until(() => writer.execute(randomOps(random, keys, 5)))) as number;
  while (last < first + 100);
  await until(
    () =>
      watches.every((watch) => watch.faults.length > 0 || watch.under !== space || watch.revision >= last) &&
      mirrors.every(({ mirror, shown }) => mirror.revision >= last && (shown.at(-1)?.revision ?? 0) >= last),
    { timeoutMs: 30_000, message: () => `all come to ${last}: ${howFar()}; ${context}` },
  );
  // A key under low/, so that those that see nothing else can be waited for.
  const end = (await until(() => writer.execute([{ type: "put", key: `${space}low/0`, value: "end" }]))) as number;
  await until(() => watches.every((watch) => watch.faults.length > 0 || watch.revision >= end), {
    timeoutMs: 20_000,
    message: () => `every watch comes to ${end}; ${context}`,
  });
  for (const watch of watches) {
    watch.close();
    expect([...watch.faults, ...watch.check(writer.truth, end)], `${watch.under} ${context}`).toEqual([]);
  }
  for (const followed of mirrors) {
    expect(followed.check(writer.truth), context).toEqual([]);
    const truth = stateOf((await direct.range(prefix(space))).kvs);
    await until(() => followed.mirror.revision >= end);
    expect(stateOf(followed.mirror.entries.values()), context).toEqual(truth);
  }
  expect(writer.truth.events.size, context).toBeGreaterThan(50);
  await Promise.all(clients.map((etcd) => etcd.close()));
  await Promise.all(proxies.map((proxy) => proxy.close()));
});
