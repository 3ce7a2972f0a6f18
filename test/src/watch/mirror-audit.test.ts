import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterEach, describe, expect, test } from "vitest";
import { type KeyRange, type MirrorStatus, prefix } from "../../../src/index.ts";
import { PointReads, RangeCounts } from "../../../src/kv/index.ts";
import { CloseListeners, MultiplexedMirror, WatchHub } from "../../../src/watch/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { ModelEtcd } from "../../support/model-etcd.ts";
import { Replica, stateOf } from "../../support/replica.ts";
import { type Seeded, seeded } from "../../support/seeded.ts";
import { type ModelOp, randomOps } from "../../support/store-model.ts";

const minute = 60_000;
const hour = 60 * minute;
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A mirror on a model of etcd, in virtual time, and what it reported. */
function setUp(
  etcd: ModelEtcd,
  random: () => number = () => 0.5,
  range: KeyRange = prefix("a/"),
  onNews: (mirror: MultiplexedMirror, status: MirrorStatus) => void = () => {},
) {
  const clock = new FakeClock();
  const runtime = { clock, random };
  const { protocol } = etcd;
  const hub = new WatchHub(protocol, 2_000, runtime);
  const reads = new PointReads(protocol, clock);
  const counts = new RangeCounts(protocol, clock);
  const received: { status: MirrorStatus; code: string | undefined }[] = [];
  const onStatus = (status: MirrorStatus, error?: { code: string }) => {
    received.push({ status, code: error?.code });
    onNews(mirror, status);
  };
  const mirror: MultiplexedMirror = new MultiplexedMirror(
    { hub, protocol, reads, counts, runtime, closing: new CloseListeners() },
    range,
    { onStatus },
  );
  const replica = new Replica();
  const faults: unknown[] = [];
  (async () => {
    for await (const batch of mirror) replica.apply(batch);
  })().catch((error: unknown) => faults.push(error));
  closing.push(() => mirror.close());
  const lost = () => received.filter(({ code }) => code === "ETCD_HISTORY_LOST").length;
  const expectTrue = (context: string) => {
    const truth = stateOf(etcd.entries(range, etcd.revision));
    expect(mirror.status, context).toBe("live");
    expect(stateOf(mirror.entries.values()), context).toEqual(truth);
    expect(stateOf(replica.entries.values()), context).toEqual(truth);
    expect(faults, context).toEqual([]);
  };
  return { clock, mirror, replica, received, lost, expectTrue };
}

const put = (key: string, value = "v"): ModelOp => ({ type: "put", key, value });
const remove = (key: string): ModelOp => ({ type: "delete", key });

function filled(count: number): ModelEtcd {
  const etcd = new ModelEtcd();
  const puts = Array.from({ length: count }, (_, index) => put(`a/${index}`, `${index}`));
  // A revision for each would cost a copy of all for each.
  for (let from = 0; from < count; from += 100) etcd.execute(puts.slice(from, from + 100));
  return etcd;
}

/** What is written meanwhile is not seen by anyone who follows. */
async function whileDown(etcd: ModelEtcd, clock: FakeClock, work: () => void): Promise<void> {
  etcd.down = true;
  etcd.cut();
  work();
  etcd.down = false;
  await clock.pass(10_000);
}

describe("a restore whose lost end is made up for", () => {
  test.each([5, 500])("of %s keys: another deletion in the place of one is seen at once", async (count) => {
    const etcd = filled(count);
    const { clock, lost, expectTrue } = setUp(etcd);
    await clock.pass(1_000);
    etcd.execute([remove("a/0")]);
    await clock.pass(1_000);
    await whileDown(etcd, clock, () => {
      etcd.restore(etcd.revision - 1);
      etcd.execute([remove("a/2")]);
    });
    expect(lost()).toBe(1);
    expectTrue("after the restore");
  });

  test("the same deletion at another revision is another history", async () => {
    const etcd = filled(5);
    const { clock, lost, expectTrue } = setUp(etcd);
    await clock.pass(1_000);
    etcd.execute([remove("a/0")]);
    await clock.pass(1_000);
    await whileDown(etcd, clock, () => {
      etcd.restore(etcd.revision - 2);
      etcd.execute([remove("a/0")]);
      etcd.execute([put("a/4", "4")]);
    });
    expect(lost()).toBe(1);
    expectTrue("after the restore");
  });

  test.each([100, 500])(
    "of %s keys: what a list had seen in a quiet range is seen at the latest by the audit",
    async (count) => {
      const etcd = filled(count);
      const { revision } = etcd;
      for (let elsewhere = 0; elsewhere < 10; elsewhere++) etcd.execute([put("b")]);
      const { clock, lost, expectTrue } = setUp(etcd);
      await clock.pass(1_000);
      await whileDown(etcd, clock, () => {
        etcd.restore(revision);
        // Neither the last entry nor the number of keys shows it.
        etcd.execute([put("a/7", "other")]);
        while (etcd.revision < revision + 20) etcd.execute([put("b")]);
      });
      if (count <= 128) expect(lost()).toBe(1);
      await clock.pass(6 * minute);
      expect(lost()).toBe(1);
      expectTrue("after the audit");
    },
  );

  test("entries that etcd does not have are found by their number", async () => {
    const etcd = filled(500);
    const { clock, mirror, lost, expectTrue } = setUp(etcd);
    await clock.pass(1_000);
    // As if an event had been lost.
    etcd.store.execute(etcd.revision, [remove("a/9")]);
    await clock.pass(2 * hour);
    expect(lost()).toBe(1);
    expect(mirror.size).toBe(499);
    expectTrue("after the audit");
  });
});

describe("an audit", () => {
  test("of a mirror that is true finds nothing, whatever is written meanwhile, and is spread out", async () => {
    const random = seeded("audited");
    const etcd = filled(1_500);
    const { clock, lost, received, expectTrue } = setUp(etcd, () => random.next());
    await clock.pass(1_000);
    etcd.asked.keys = 0;
    const reads: number[] = [];
    for (let passed = 0; passed < 3 * hour; passed += 10_000) {
      const { ranges } = etcd.asked;
      for (let writes = random.between(0, 3); writes > 0; writes--) {
        etcd.execute(randomOps(random, ["a/1", "a/2", "a/1200", "a/new", "b"], 3));
      }
      await clock.pass(10_000);
      reads.push(etcd.asked.ranges - ranges);
      if (random.chance(0.1)) etcd.compact(etcd.revision);
    }
    const context = `seed ${random.seed}`;
    expect(lost(), context).toBe(0);
    expect(
      received.map(({ status }) => status),
      context,
    ).toEqual(["live"]);
    // Each half an hour, between half of that and one and a half, and a page each second.
    expect(etcd.asked.keys / 1_500, context).toBeGreaterThan(3);
    expect(etcd.asked.keys / 1_500, context).toBeLessThan(13);
    expect(Math.max(...reads), context).toBeLessThan(25);
    expectTrue(context);
  });

  test("finds keys that have U+FFFD in them, which stand under another name", async () => {
    const etcd = filled(10);
    etcd.execute([put("a/\ufffd")]);
    const { clock, mirror, lost, expectTrue } = setUp(etcd);
    await clock.pass(1_000);
    etcd.asked.keys = 0;
    await clock.pass(2 * hour);
    expect(etcd.asked.keys).toBeGreaterThan(11);
    expect(mirror.get("a/\ufffd")?.text).toBe("v");
    expect(lost()).toBe(0);
    expectTrue("after the audits");
  });

  test("reads what is there now where the revision of a quiet range is compacted, and waits for an event on its way", async () => {
    const etcd = filled(500);
    const { clock, mirror, lost, expectTrue } = setUp(etcd);
    await clock.pass(1_000);
    for (let elsewhere = 0; elsewhere < 5; elsewhere++) etcd.execute([put("b")]);
    etcd.compact(etcd.revision);
    await clock.pass(2 * hour);
    expect(lost()).toBe(0);
    // The event is lost: an audit doubts three times.
    etcd.store.execute(etcd.revision, [put("a/3", "silent")]);
    await clock.pass(2 * hour);
    expect(lost()).toBe(1);
    expect(mirror.get("a/3")?.text).toBe("silent");
    expectTrue("after the audit");
  });

  test("goes on where it was after the link was broken, and neither waits for ever nor begins while it is", async () => {
    const etcd = filled(2_500);
    const { clock, lost, expectTrue } = setUp(etcd);
    await clock.pass(1_000);
    const { revision } = etcd;
    for (let elsewhere = 0; elsewhere < 10; elsewhere++) etcd.execute([put("b")]);
    etcd.progress();
    await whileDown(etcd, clock, () => {
      etcd.restore(revision);
      etcd.execute([put("a/999", "other")]);
      while (etcd.revision < revision + 20) etcd.execute([put("b")]);
    });
    // Never long enough for all of it.
    for (let breaks = 0; breaks < 2_000 && lost() === 0; breaks++) {
      etcd.cut();
      await clock.pass(4_000);
    }
    expect(lost()).toBe(1);
    etcd.down = true;
    etcd.cut();
    const { ranges } = etcd.asked;
    await clock.pass(3 * hour);
    expect(etcd.asked.ranges - ranges).toBe(0);
    etcd.down = false;
    await clock.pass(minute);
    expectTrue("after the outage");
  });

  test.each([0, 5])(
    "of a list that had %i keys at first reads pages as large as of another one, and values",
    async (count) => {
      const etcd = filled(count);
      const { clock, mirror, lost, expectTrue } = setUp(etcd);
      await clock.pass(1_000);
      const puts = (from: number, value = "") => Array.from({ length: 100 }, (_, at) => put(`a/${from + at}`, value));
      for (let from = 100; from < 5_000; from += 100) etcd.execute(puts(from));
      await clock.pass(1_000);
      const { size } = mirror;
      const { ranges } = etcd.asked;
      await clock.pass(44 * minute);
      // The first ones are small.
      expect(etcd.asked.ranges - ranges).toBeLessThan(4 + size / 1_000);
      await whileDown(etcd, clock, () => {
        etcd.restore(etcd.revision - 2);
        etcd.execute(puts(4_800, "other"));
        etcd.execute(puts(4_900));
      });
      expect([mirror.get("a/4800")?.text, lost()]).toEqual(["", 0]);
      await clock.pass(6 * minute);
      expect([mirror.get("a/4800")?.text, lost()]).toEqual(["other", 1]);
      expectTrue("after the audit");
    },
  );

  test("of many mirrors at once does not read all of them at once", async () => {
    const random = seeded("herd");
    const etcd = filled(200);
    const mirrors = Array.from({ length: 50 }, () => setUp(etcd, () => random.next()));
    for (const { clock } of mirrors) await clock.pass(1_000);
    const readsIn: number[] = [];
    for (let passed = 0; passed < 90; passed++) {
      const { ranges } = etcd.asked;
      for (const { clock } of mirrors) await clock.pass(minute);
      readsIn.push(etcd.asked.ranges - ranges);
    }
    expect(
      readsIn.reduce((sum, reads) => sum + reads, 0),
      `seed ${random.seed}`,
    ).toBeGreaterThan(100);
    expect(Math.max(...readsIn), `seed ${random.seed}`).toBeLessThan(25);
  });
});

describe("a mirror that is closed by who hears of it", () => {
  test("that it is live reads nothing any more", async () => {
    const etcd = filled(5);
    const { clock, received } = setUp(etcd, undefined, undefined, (mirror, status) => {
      if (status === "live") void mirror.close();
    });
    await clock.pass(1_000);
    expect(received.map(({ status }) => status)).toEqual(["live", "closed"]);
    const { ranges } = etcd.asked;
    await clock.pass(2 * hour);
    expect(etcd.asked.ranges).toBe(ranges);
    expect(clock.pendingTimers).toBe(0);
  });

  test("that it was listed follows nothing any more", async () => {
    const etcd = filled(5);
    const closeIt = () => void mirror.close();
    subscribe("etcd-recipes:relist", closeIt);
    const { clock, mirror, received } = setUp(etcd);
    await clock.pass(1_000);
    unsubscribe("etcd-recipes:relist", closeIt);
    expect(received.map(({ status }) => status)).toEqual(["closed"]);
    expect(etcd.openStreams).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe("random histories, outages, compactions and restores", () => {
  test.each(Array.from({ length: 12 }, (_, round) => round))("leave a mirror as etcd is; round %s", async (round) => {
    const random = seeded(`restores ${round}`);
    const keys = Array.from({ length: random.pick([1, 5, 100, 300]) }, (_, index) => `a/${index}`);
    const written = [...keys, "b"];
    const etcd = new ModelEtcd();
    for (const key of keys) if (random.chance(0.8)) etcd.execute([put(key, `first ${key}`)]);
    const context = `seed ${random.seed}, round ${round}`;
    const { clock, lost, expectTrue } = setUp(etcd, () => random.next());
    await clock.pass(1_000);
    for (let turn = 0; turn < 12; turn++) {
      const write = (most: number) => {
        for (let writes = random.between(0, most); writes > 0; writes--) execute(etcd, written, random);
      };
      write(5);
      await clock.pass(random.between(0, 1_000));
      if (random.chance(0.2)) etcd.progress();
      const before = etcd.revision;
      const lostBefore = lost();
      const restored = random.chance(0.5);
      await whileDown(etcd, clock, () => {
        if (restored) etcd.restore(random.between(Math.max(1, etcd.compactRevision, before - 8), before));
        write(20);
        if (random.chance(0.2)) etcd.compact(random.between(Math.max(1, before - 5), etcd.revision));
      });
      await clock.pass(15 * minute);
      expectTrue(`${context}, turn ${turn}`);
      if (!restored) expect(lost(), `${context}, turn ${turn}`).toBe(lostBefore);
    }
  });

  /** Mostly single writes, so that lost ends and new ones are as like as can be. */
  function execute(etcd: ModelEtcd, keys: readonly string[], random: Seeded): void {
    if (random.chance(0.2)) etcd.execute(randomOps(random, keys, 4));
    else if (random.chance(0.5)) etcd.execute([remove(random.pick(keys))]);
    else etcd.execute([put(random.pick(keys), random.pick(["x", "y"]))]);
  }
});
