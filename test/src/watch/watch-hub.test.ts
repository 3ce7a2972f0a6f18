import { describe, expect, test } from "vitest";
import {
  CompactedError,
  type EtcdError,
  PermissionDeniedError,
  UnauthenticatedError,
  UnavailableError,
  type WatchBatch,
} from "../../../src/index.ts";
import { quietDeferred } from "../../../src/internal/index.ts";
import type { FeedSpec } from "../../../src/watch/watch-feed.ts";
import { WatchHub } from "../../../src/watch/watch-hub.ts";
import { FakeClock, settled } from "../../support/fake-clock.ts";
import { ScriptedProtocol } from "../../support/scripted-protocol.ts";
import { StoreModel } from "../../support/store-model.ts";

const hour = 3_600_000;

function setUp() {
  const clock = new FakeClock();
  const scripted = new ScriptedProtocol();
  const hub = new WatchHub(scripted.protocol, 2_000, { clock, random: () => 0.5 });
  return { clock, scripted, hub };
}

interface Received {
  readonly batches: WatchBatch[];
  readonly stale: EtcdError[];
  readonly ends: EtcdError[];
  lives: number;
}

/** A feed that knows nothing yet, unless `spec` says so. */
function follow(hub: WatchHub, spec: Partial<FeedSpec> = {}) {
  const received: Received = { batches: [], stale: [], ends: [], lives: 0 };
  const feed = hub.follow({
    range: { start: Buffer.from("a") },
    previous: false,
    afterRevision: 9,
    provenOn: undefined,
    evidence: () => undefined,
    onLive: () => received.lives++,
    onStale: (error) => received.stale.push(error),
    onBatch: (batch) => received.batches.push(batch),
    onEnd: (error) => received.ends.push(error),
    ...spec,
  });
  return { feed, received };
}

const put = (revision: number) => new StoreModel().execute(revision, [{ type: "put", key: "a", value: "v" }]);

describe("created answers", () => {
  test("belong to the requests in their order, also when one of them is a refusal with the number -1", async () => {
    const { scripted, hub } = setUp();
    const first = follow(hub);
    const refused = follow(hub);
    const third = follow(hub);
    await settled();
    const { stream } = scripted;
    scripted.rangeError = new PermissionDeniedError("nor may it be read");
    stream.answer({ created: true, watchId: "0" });
    stream.answer({ created: true, canceled: true, watchId: "-1", cancelReason: "etcdserver: permission denied" });
    stream.answer({ created: true, watchId: "1" });
    stream.answer({ watchId: "1", events: put(10) });
    await settled();
    expect(scripted.streams).toHaveLength(1);
    expect(first.received).toMatchObject({ lives: 1, batches: [], ends: [] });
    expect(refused.received.lives).toBe(0);
    expect(refused.received.ends[0]).toBeInstanceOf(PermissionDeniedError);
    expect(third.received.batches.map(({ revision }) => revision)).toEqual([10]);
    expect(third.received.ends).toEqual([]);
  });

  test("come in any order where a watch has the number that was asked for, and then many are under way", async () => {
    const { scripted, hub } = setUp();
    const [first, second, third] = [follow(hub), follow(hub), follow(hub)];
    await settled();
    const { stream } = scripted;
    const ids = () => stream.created.map(({ watchId }) => watchId);
    expect(ids()).toHaveLength(1);
    stream.answer({ created: true, watchId: ids()[0] as string });
    expect(new Set(ids()).size).toBe(3);
    stream.answer({ created: true, watchId: ids()[2] as string });
    stream.answer({ watchId: ids()[2] as string, events: put(10) });
    expect([first.received.lives, second.received.lives, third.received.lives]).toEqual([1, 0, 1]);
    stream.answer({ created: true, watchId: ids()[1] as string });
    stream.answer({ watchId: ids()[1] as string, events: put(11) });
    const received = [first, second, third].map(({ received: { batches } }) => batches.map(({ revision }) => revision));
    expect(received).toEqual([[], [11], [10]]);
  });

  test("are waited for one by one where the server numbers the watches itself", async () => {
    const { scripted, hub } = setUp();
    const feeds = [follow(hub), follow(hub), follow(hub)];
    await settled();
    const { stream } = scripted;
    for (const [watchId, { feed }] of feeds.entries()) {
      expect(stream.created).toHaveLength(watchId + 1);
      stream.answer({ created: true, watchId: String(watchId) });
      expect(feed.wasCreated).toBe(true);
    }
    expect(feeds.map(({ received: { lives } }) => lives)).toEqual([1, 1, 1]);
  });

  test("with an unknown number, while several are waited for, are answered with a cancel", async () => {
    const { scripted, hub } = setUp();
    const feeds = [follow(hub), follow(hub), follow(hub)];
    await settled();
    const { stream } = scripted;
    stream.answer({ created: true, watchId: stream.created[0]?.watchId as string });
    stream.answer({ created: true, watchId: "0" });
    expect(stream.cancelled).toEqual(["0"]);
    expect(feeds.map(({ received: { lives } }) => lives)).toEqual([1, 0, 0]);
  });

  test("for a feed without a follower are answered with a cancel, and its events go nowhere", async () => {
    const { scripted, hub } = setUp();
    const kept = follow(hub);
    const left = follow(hub);
    await settled();
    hub.unfollow(left.feed);
    const { stream } = scripted;
    stream.answer({ created: true, watchId: "0" });
    stream.answer({ created: true, watchId: "1" });
    expect(stream.cancelled).toEqual(["1"]);
    stream.answer({ watchId: "1", events: put(10) });
    stream.answer({ watchId: "1", canceled: true });
    expect(left.received).toEqual({ batches: [], stale: [], ends: [], lives: 0 });
    expect(kept.received).toMatchObject({ lives: 1, batches: [], stale: [], ends: [] });
  });

  test("that never come end the stream after 5 s of silence, not after 5 s of events", async () => {
    const { clock, scripted, hub } = setUp();
    const talking = follow(hub);
    await settled();
    const first = scripted.stream;
    first.answer({ created: true, watchId: "0" });
    follow(hub);
    for (let revision = 10; revision < 20; revision++) {
      await clock.pass(4_000);
      first.answer({ watchId: "0", events: put(revision) });
    }
    expect(first.closed).toBe(false);
    await clock.pass(5_000);
    expect(first.closed).toBe(true);
    expect(scripted.failures).toContain("silent");
    expect(talking.received.stale).toHaveLength(1);
    await clock.pass(10_000);
    expect(scripted.streams.length).toBeGreaterThan(1);
  });
});

test("a server that confirms nothing is left after 5 s, however many watches are opened on it meanwhile", async () => {
  const { clock, scripted, hub } = setUp();
  for (let opened = 0; opened < 3; opened++) {
    follow(hub);
    await clock.pass(2_000);
  }
  expect(scripted.streams[0]?.closed).toBe(true);
  expect(scripted.failures).toContain("silent");
});

test("a server that confirms some watches, and then nothing, is left 5 s after its last answer", async () => {
  const { clock, scripted, hub } = setUp();
  for (let opened = 0; opened < 4; opened++) follow(hub);
  await settled();
  const [stream] = scripted.streams;
  const timers = clock.pendingTimers;
  for (let answered = 0; answered < 3; answered++) {
    await clock.pass(4_000);
    stream?.answer({ created: true, watchId: stream.created[answered]?.watchId });
    expect(clock.pendingTimers).toBe(timers);
  }
  await clock.pass(4_900);
  expect(stream?.closed).toBe(false);
  await clock.pass(200);
  expect(stream?.closed).toBe(true);
  expect(scripted.failures).toContain("silent");
});

test("an idle stream whose creates are all answered is asked for signs of life, and nothing ends it", async () => {
  const { clock, scripted, hub } = setUp();
  const { received } = follow(hub);
  await settled();
  scripted.stream.answer({ created: true });
  await clock.pass(hour);
  expect(scripted.streams).toHaveLength(1);
  expect(scripted.stream.progressRequests).toBe(3_600);
  expect(received.stale).toEqual([]);
});

test("no request begins at revision 0, and one that is resumed begins with what is known already", async () => {
  const { clock, scripted, hub } = setUp();
  const asked = follow(hub, { afterRevision: 0 });
  const read = follow(hub, { afterRevision: 9, evidence: () => ({ revision: 9, count: 1 }) });
  await settled();
  scripted.prove(1);
  await settled();
  scripted.stream.answer({ created: true, watchId: "0" });
  expect(scripted.stream.created.map(({ startRevision }) => startRevision)).toEqual([1, 10]);
  scripted.stream.answer({ created: true, watchId: "1" });
  scripted.stream.breaks();
  await clock.pass(1_000);
  scripted.prove(1);
  await settled();
  scripted.stream.answer({ created: true, watchId: "0" });
  expect(scripted.stream.created.map(({ startRevision }) => startRevision)).toEqual([1, 9]);
  expect([asked.received.ends, read.received.ends]).toEqual([[], []]);
});

describe("the next attempt", () => {
  /** How many streams are opened in a minute in which each breaks at once, after the server has spoken or before. */
  async function attempts(spoken: boolean): Promise<number> {
    const { clock, scripted, hub } = setUp();
    follow(hub);
    for (let passed = 0; passed < 60_000; passed += 25) {
      await clock.pass(25);
      const stream = scripted.streams.at(-1);
      if (!stream || stream.closed) continue;
      if (spoken) stream.answer({ created: true });
      stream.breaks();
    }
    return scripted.streams.length;
  }

  // With the draw in the middle: 50 ms.
  test("is soon, again and again, after a stream on which the server had spoken", async () => {
    expect(await attempts(true)).toBeGreaterThan(500);
  });

  // With the draw in the middle: up to 2.5 s.
  test("backs off after one that fell over before", async () => {
    const count = await attempts(false);
    expect(count).toBeGreaterThan(20);
    expect(count).toBeLessThan(40);
  });
});

describe("a watch whose past was read, when the server is further by then", () => {
  const known: Partial<FeedSpec> = { evidence: () => ({ revision: 9, count: 1 }) };

  async function created(spec: Partial<FeedSpec>, serverRevision: number) {
    const { scripted, hub } = setUp();
    const { received } = follow(hub, spec);
    await settled();
    if (spec.evidence) scripted.prove(1);
    await settled();
    scripted.stream.answer({ created: true, headerRevision: serverRevision });
    return { scripted, received, starts: () => scripted.stream.created.map(({ startRevision }) => startRevision) };
  }

  test("begins again with what is known, is live then, and reports each event once", async () => {
    const { scripted, received, starts } = await created(known, 10);
    expect(starts()).toEqual([10, 9]);
    expect(scripted.stream.cancelled).toEqual(["0"]);
    expect(received.lives).toBe(0);
    scripted.stream.answer({ events: put(11) });
    scripted.stream.answer({ created: true, watchId: "1", headerRevision: 12 });
    expect(received.lives).toBe(1);
    scripted.stream.answer({ watchId: "1", events: [...put(9), ...put(10), ...put(11)] });
    expect(received.batches.flatMap(({ events }) => events.map(({ kv }) => kv.modRevision))).toEqual([10, 11]);
    expect(starts()).toEqual([10, 9]);
  });

  test("begins with what is known where the server has said before how far it is: one request, not two and a cancel", async () => {
    const { scripted, hub } = setUp();
    follow(hub);
    await settled();
    const { stream } = scripted;
    stream.answer({ created: true, watchId: "0", headerRevision: 9 });
    follow(hub, { afterRevision: 30 });
    stream.answer({ created: true, watchId: "1", headerRevision: 30 });
    const before = stream.created.length;
    const { received } = follow(hub, { afterRevision: 25 });
    stream.answer({ created: true, watchId: String(before), headerRevision: 31 });
    expect(stream.created.slice(before).map(({ startRevision }) => startRevision)).toEqual([25]);
    expect(received.lives).toBe(1);
    const upToDate = follow(hub, { afterRevision: 31 });
    stream.answer({ created: true, watchId: String(before + 1), headerRevision: 31 });
    expect(stream.created.at(-1)?.startRevision).toBe(32);
    expect(upToDate.received.lives).toBe(1);
  });

  test("goes on at once when the server is not, or lags", async () => {
    for (const serverRevision of [9, 7]) {
      const { received, starts } = await created(known, serverRevision);
      expect([starts(), received.lives]).toEqual([[10], 1]);
    }
  });

  test("begins again also where the caller said where: a deletion there may be compacted there", async () => {
    const { scripted, received, starts } = await created({}, 12);
    expect([starts(), received.lives]).toEqual([[10, 9], 0]);
    scripted.stream.answer({ created: true, watchId: "1", headerRevision: 12 });
    scripted.stream.answer({ watchId: "1", canceled: true, compactRevision: 10 });
    expect(received.ends).toMatchObject([{ code: "ETCD_COMPACTED", compactRevision: 10 }]);
  });

  test("does not begin with revision 0, which would be now", async () => {
    const { received, starts } = await created({ afterRevision: 0 }, 12);
    expect([starts(), received.lives]).toEqual([[1], 1]);
  });
});

describe("a history that cannot be proved because it is compacted", () => {
  test("ends the feed, which was never called live", async () => {
    const { scripted, hub } = setUp();
    const { received } = follow(hub, { afterRevision: 9, evidence: () => ({ revision: 9, count: 1 }) });
    await settled();
    scripted.txns[0]?.reject(new CompactedError("compacted"));
    await settled();
    expect(received.ends[0]?.code).toBe("ETCD_COMPACTED");
    expect(received.lives).toBe(0);
    expect(scripted.stream.created).toEqual([]);
  });

  test("does not end a feed that has long gone on by another stream", async () => {
    const { clock, scripted, hub } = setUp();
    const { received } = follow(hub, { afterRevision: 9, evidence: () => ({ revision: 9, count: 1 }) });
    await settled();
    const late = scripted.txns.shift();
    scripted.stream.breaks();
    await clock.pass(1_000);
    scripted.prove(1);
    await settled();
    scripted.stream.answer({ created: true });
    scripted.stream.answer({ events: put(20) });
    late?.reject(new CompactedError("compacted"));
    await settled();
    expect(received.ends).toEqual([]);
    scripted.stream.answer({ events: put(21) });
    expect(received.batches.map(({ revision }) => revision)).toEqual([20, 21]);
  });
});

test("a proof that is no longer awaited is called off", async () => {
  const { scripted, hub } = setUp();
  const { feed } = follow(hub, { evidence: () => ({ revision: 9, count: 1 }) });
  await settled();
  hub.unfollow(feed);
  expect(scripted.txns[0]?.signal?.aborted).toBe(true);
  expect(scripted.stream.closed).toBe(true);
});

describe("fragments", () => {
  const parts = [put(10), put(10), put(10)];

  test("of a revision are one batch", async () => {
    const { scripted, hub } = setUp();
    const { received } = follow(hub);
    await settled();
    const { stream } = scripted;
    stream.answer({ created: true });
    for (const [index, events] of parts.entries()) {
      expect(received.batches).toEqual([]);
      stream.answer({ events, fragment: index < parts.length - 1 });
    }
    expect(received.batches).toEqual([{ type: "events", revision: 10, events: parts.flat() }]);
  });

  test("that the stream took with it come again as a whole", async () => {
    const { clock, scripted, hub } = setUp();
    const { received } = follow(hub);
    await settled();
    scripted.stream.answer({ created: true });
    scripted.stream.answer({ events: put(10), fragment: true });
    scripted.stream.breaks();
    await clock.pass(1_000);
    expect(scripted.stream.created[0]?.startRevision).toBe(9);
    scripted.stream.answer({ created: true });
    scripted.stream.answer({ events: parts.flat() });
    expect(received.batches).toEqual([{ type: "events", revision: 10, events: parts.flat() }]);
  });
});

test("events that are known already, header revisions and progress of others move nothing", async () => {
  const { scripted, hub } = setUp();
  const { feed, received } = follow(hub);
  await settled();
  const { stream } = scripted;
  stream.answer({ created: true, watchId: "5", headerRevision: 100 });
  // It was further than what was asked for, so it is asked again from what is known.
  stream.answer({ created: true, headerRevision: 100 });
  stream.answer({ watchId: "-1", headerRevision: 90 });
  stream.answer({ watchId: "7", headerRevision: 80, events: put(80) });
  stream.answer({ headerRevision: 70, events: put(9) });
  expect(feed.revision).toBe(9);
  stream.answer({ headerRevision: 60, events: [...put(9), ...put(12)] });
  expect(received.batches).toEqual([{ type: "events", revision: 12, events: put(12) }]);
  stream.answer({ headerRevision: 12 });
  stream.answer({ headerRevision: 15 });
  expect(received.batches.at(-1)).toEqual({ type: "progress", revision: 15, events: [] });
});

describe("a watch that the server ends for a reason that passes", () => {
  test("is asked for again on the same stream, after a moment", async () => {
    const { clock, scripted, hub } = setUp();
    const { received } = follow(hub);
    await settled();
    const { stream } = scripted;
    stream.answer({ created: true });
    stream.answer({ events: put(10) });
    stream.answer({ canceled: true, cancelReason: "etcdserver: no leader" });
    expect(received.stale).toHaveLength(1);
    await settled();
    expect(stream.created).toHaveLength(1);
    await clock.pass(1_000);
    expect(stream.created.at(-1)?.startRevision).toBe(10);
    stream.answer({ created: true, watchId: "1" });
    stream.answer({ watchId: "1", events: put(11) });
    expect(received.batches.map(({ revision }) => revision)).toEqual([10, 11]);
    expect(received.lives).toBe(2);
  });

  test("is not asked for twice when the stream breaks meanwhile", async () => {
    const { clock, scripted, hub } = setUp();
    follow(hub);
    await settled();
    scripted.stream.answer({ created: true });
    scripted.stream.answer({ canceled: true, cancelReason: "etcdserver: no leader" });
    scripted.stream.breaks();
    await clock.pass(60_000);
    expect(scripted.stream.created).toHaveLength(1);
  });
});

test("a refused watch whose range could not be read is asked for once on the stream that came meanwhile", async () => {
  const { clock, scripted, hub } = setUp();
  const { feed, received } = follow(hub);
  const reading = quietDeferred<never>();
  scripted.range = () => reading.promise;
  await settled();
  scripted.stream.answer({ created: true, canceled: true, watchId: "-1", cancelReason: "permission denied" });
  scripted.stream.breaks();
  await clock.pass(1_000);
  expect(scripted.streams).toHaveLength(2);
  reading.reject(new UnavailableError("etcd was away", { retryable: true }));
  await clock.pass(2_000);
  expect(scripted.stream.created).toHaveLength(1);
  scripted.stream.answer({ created: true, watchId: "0" });
  hub.unfollow(feed);
  expect(received).toMatchObject({ lives: 1, ends: [] });
});

test("a watch that is opened when others end for ever is tried, too", async () => {
  const { clock, scripted, hub } = setUp();
  scripted.openWatch = () => Promise.reject(new UnauthenticatedError("the password is wrong"));
  const later: ReturnType<typeof follow>[] = [];
  follow(hub, { onEnd: () => later.push(follow(hub)) });
  follow(hub);
  await clock.pass(10_000);
  expect(later[0]?.received.ends[0]?.code).toBe("ETCD_UNAUTHENTICATED");
  expect(clock.pendingTimers).toBe(0);
});

describe("the last feed", () => {
  test("takes the stream with it, and a later one opens another", async () => {
    const { clock, scripted, hub } = setUp();
    const first = follow(hub);
    await settled();
    hub.unfollow(first.feed);
    expect(scripted.stream.closed).toBe(true);
    expect(hub.openStream).toBeUndefined();
    await clock.pass(60_000);
    expect(scripted.streams).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
    follow(hub);
    await settled();
    expect(scripted.streams).toHaveLength(2);
    expect(scripted.stream.created).toHaveLength(1);
  });

  test("may come back before the stream that it left is gone", async () => {
    const { clock, scripted, hub } = setUp();
    hub.unfollow(follow(hub).feed);
    const again = follow(hub);
    await clock.pass(1_000);
    const open = scripted.streams.filter(({ closed }) => !closed);
    expect(open).toHaveLength(1);
    open[0]?.answer({ created: true });
    expect(again.received.lives).toBe(1);
  });
});

test("close ends every feed, also one that comes after it", async () => {
  const { clock, scripted, hub } = setUp();
  const before = follow(hub);
  await settled();
  hub.close();
  const after = follow(hub);
  expect(before.received.ends[0]?.code).toBe("ETCD_CLOSED");
  expect(after.received.ends[0]?.code).toBe("ETCD_CLOSED");
  expect(scripted.stream.closed).toBe(true);
  await clock.pass(60_000);
  expect(scripted.streams).toHaveLength(1);
});
