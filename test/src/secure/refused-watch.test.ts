import { expect, test } from "vitest";
import { type EtcdError, PermissionDeniedError, UnauthenticatedError, UnavailableError } from "../../../src/index.ts";
import { deferred } from "../../../src/internal/index.ts";
import type { FeedSpec } from "../../../src/watch/watch-feed.ts";
import { WatchHub } from "../../../src/watch/watch-hub.ts";
import { FakeClock, settled } from "../../support/fake-clock.ts";
import { ScriptedProtocol } from "../../support/scripted-protocol.ts";

// What etcd refuses to follow: because the token of the stream is too old, or because it may not be read (HARDSHIPS
// 10). Here the answers come in an order that no real server can be held to.

const minute = 60_000;

function setUp() {
  const clock = new FakeClock();
  const scripted = new ScriptedProtocol();
  const hub = new WatchHub(scripted.protocol, 2_000, { clock, random: () => 0.5 });
  return { clock, scripted, hub };
}

function follow(hub: WatchHub) {
  const received = { lives: 0, stale: [] as EtcdError[], ends: [] as EtcdError[] };
  const spec: FeedSpec = {
    range: { start: Buffer.from("a") },
    previous: false,
    afterRevision: 9,
    provenOn: undefined,
    evidence: () => undefined,
    onLive: () => received.lives++,
    onStale: (error) => received.stale.push(error),
    onBatch: () => {},
    onEnd: (error) => received.ends.push(error),
  };
  return { feed: hub.follow(spec), received };
}

/** How long it takes until the server is asked for another watch. */
async function untilAsked({ clock, scripted }: Pick<ReturnType<typeof setUp>, "clock" | "scripted">): Promise<number> {
  const before = scripted.stream.created.length;
  for (let waitedMs = 0; waitedMs <= minute; waitedMs += 100) {
    await clock.pass(100);
    if (scripted.stream.created.length > before) return waitedMs;
  }
  throw new Error("no watch was asked for within a minute");
}

const denied = { canceled: true, cancelReason: "etcdserver: permission denied" };

/** Two that are followed on one stream: the first under the number 0, the second under 1. */
async function followTwo() {
  const parts = setUp();
  const first = follow(parts.hub);
  const second = follow(parts.hub);
  await settled();
  parts.scripted.stream.answer({ created: true, watchId: "0" });
  parts.scripted.stream.answer({ created: true, watchId: "1" });
  return { ...parts, first, second };
}

test.each([
  "etcdserver: permission denied",
  "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
  "rpc error: code = InvalidArgument desc = etcdserver: revision of auth store is old",
  "rpc error: code = InvalidArgument desc = etcdserver: user name is empty",
])(
  "a watch that is refused (%s) while its range can be read goes on on a new stream, and the others with it",
  async (cancelReason) => {
    const { clock, scripted, first, second } = await followTwo();
    const { stream } = scripted;
    stream.answer({ watchId: "0", canceled: true, cancelReason });
    // Until it is known why, it is not live.
    expect(first.received.stale).toHaveLength(1);
    expect(second.received.stale).toEqual([]);
    await settled();
    expect(scripted.ranges).toBe(1);
    expect(stream.closed).toBe(true);
    // No role, no user and no password is missing.
    for (const { received } of [first, second]) {
      expect(received.stale.at(-1)).toMatchObject({ code: "ETCD_UNAVAILABLE", retryable: true });
      expect(received.stale.at(-1)?.message).toMatch(/^the token of the stream on .* is not taken any more$/);
    }
    // It was the token, not the member: the next stream begins where this one was.
    expect(scripted.failures).toEqual([]);
    await clock.pass(1_000);
    expect(scripted.streams).toHaveLength(2);
    scripted.stream.answer({ created: true, watchId: "0" });
    expect(scripted.stream.created.map(({ startRevision }) => startRevision)).toEqual([9, 9]);
    scripted.stream.answer({ created: true, watchId: "1" });
    expect([first.received.lives, second.received.lives]).toEqual([2, 2]);
    expect([...first.received.ends, ...second.received.ends]).toEqual([]);
  },
);

test("a watch whose range may not be read from the start ends alone: the others keep their stream", async () => {
  const { clock, scripted, hub } = setUp();
  const second = follow(hub);
  await settled();
  scripted.stream.answer({ created: true, watchId: "1" });
  const first = follow(hub);
  await settled();
  scripted.rangeError = new PermissionDeniedError("it may not be read");
  scripted.stream.answer({ created: true, watchId: "-1", ...denied });
  await clock.pass(minute);
  expect(first.received.ends).toEqual([scripted.rangeError]);
  expect(scripted.streams).toHaveLength(1);
  expect(scripted.stream.closed).toBe(false);
  expect(second.received).toEqual({ lives: 1, stale: [], ends: [] });
});

test("a watch that was live, and whose range may not be read any more, is tried again, and again slowly, until it may", async () => {
  const lab = await followTwo();
  const { scripted, first, second } = lab;
  scripted.rangeError = new PermissionDeniedError("it may not be read");
  const { stream } = scripted;
  stream.answer({ watchId: "0", ...denied });
  const pausesMs: number[] = [];
  while (pausesMs.length < 14) {
    pausesMs.push(await untilAsked(lab));
    stream.answer({ created: true, watchId: "-1", ...denied });
  }
  // The random numbers are all 0.5.
  expect(pausesMs[0]).toBeLessThanOrEqual(200);
  expect(pausesMs.at(-1)).toBeGreaterThan(14_500);
  expect(Math.max(...pausesMs)).toBeLessThanOrEqual(15_200);
  expect(first.received.ends).toEqual([]);
  expect(first.received.stale.length).toBeGreaterThanOrEqual(14);
  expect(first.received.stale.every(({ code }) => code === "ETCD_PERMISSION_DENIED")).toBe(true);
  await untilAsked(lab);
  scripted.rangeError = undefined;
  stream.answer({ created: true, watchId: "2" });
  expect(first.received).toMatchObject({ lives: 2, ends: [] });
  expect(scripted.streams).toHaveLength(1);
  expect(second.received).toEqual({ lives: 1, stale: [], ends: [] });
});

test("a watch that etcd goes on refusing, although its range can be read, costs the others two new streams, and no more", async () => {
  const lab = await followTwo();
  const { clock, scripted, first, second } = lab;
  for (let refusal = 1; refusal <= 3; refusal++) {
    expect(scripted.streams).toHaveLength(refusal);
    const { stream } = scripted;
    if (refusal === 1) stream.answer({ watchId: "0", ...denied });
    else {
      stream.answer({ created: true, watchId: "-1", ...denied });
      stream.answer({ created: true, watchId: "1" });
    }
    await clock.pass(1_000);
  }
  // Asked for a third time, on this stream alone.
  for (let again = 0; again < 3; again++) {
    if (again > 0) await untilAsked(lab);
    scripted.stream.answer({ created: true, watchId: "-1", ...denied });
  }
  await untilAsked(lab);
  expect(first.received.ends).toEqual([]);
  expect(scripted.streams).toHaveLength(3);
  expect(scripted.stream.closed).toBe(false);
  expect(second.received.ends).toEqual([]);
  expect(second.received.lives).toBe(3);
  scripted.stream.answer({ created: true, watchId: "2" });
  expect(first.received.lives).toBe(2);
});

test("a password that is wrong by now ends nothing that was live, and a watch that is new at once", async () => {
  const { clock, scripted, hub, first, second } = await followTwo();
  const wrong = new UnauthenticatedError("authentication failed, invalid user ID or password");
  scripted.openError = wrong;
  scripted.stream.breaks();
  await clock.pass(minute);
  for (const { received } of [first, second]) {
    expect(received.ends).toEqual([]);
    expect(received.stale).toContain(wrong);
  }
  const third = follow(hub);
  await clock.pass(0);
  expect(third.received.ends).toEqual([wrong]);
  scripted.openError = undefined;
  await clock.pass(minute);
  for (const watchId of ["0", "1"]) scripted.stream.answer({ created: true, watchId });
  expect([first.received.lives, second.received.lives]).toEqual([2, 2]);
});

test("a watch that was live again in between may be refused as often as tokens expire", async () => {
  const { clock, scripted, first } = await followTwo();
  for (let expiry = 1; expiry <= 10; expiry++) {
    scripted.stream.answer({ watchId: "0", ...denied });
    await clock.pass(5_000);
    expect(scripted.streams).toHaveLength(expiry + 1);
    scripted.stream.answer({ created: true, watchId: "0" });
    scripted.stream.answer({ created: true, watchId: "1" });
  }
  expect(first.received.ends).toEqual([]);
  expect(first.received.lives).toBe(11);
});

test("a watch that is refused without a reason is asked for again, on the same stream", async () => {
  const { clock, scripted, first, second } = await followTwo();
  scripted.rangeError = new UnavailableError("away", { retryable: true });
  const { stream } = scripted;
  stream.answer({ watchId: "0", ...denied });
  await clock.pass(1_000);
  expect(first.received.ends).toEqual([]);
  expect(stream.created).toHaveLength(3);
  stream.answer({ created: true, watchId: "2" });
  await clock.pass(minute);
  expect(scripted.streams).toHaveLength(1);
  expect(first.received).toMatchObject({ lives: 2, ends: [] });
  expect(second.received).toEqual({ lives: 1, stale: [], ends: [] });
});

test("what is found out about a stream that is gone meanwhile does not end the next one", async () => {
  const { clock, scripted, first, second } = await followTwo();
  const read = deferred<Awaited<ReturnType<ScriptedProtocol["range"]>>>();
  scripted.range = () => read.promise;
  scripted.stream.answer({ watchId: "0", ...denied });
  scripted.stream.breaks();
  await clock.pass(1_000);
  expect(scripted.streams).toHaveLength(2);
  scripted.stream.answer({ created: true, watchId: "0" });
  scripted.stream.answer({ created: true, watchId: "1" });
  read.resolve({ revision: 100, kvs: [], count: 0, more: false, bytes: 0 });
  await clock.pass(minute);
  expect(scripted.streams).toHaveLength(2);
  expect(scripted.stream.closed).toBe(false);
  for (const { received } of [first, second]) {
    expect(received).toMatchObject({ lives: 2, ends: [] });
    expect(received.stale.at(-1)).toMatchObject({ message: "cut" });
  }
});

test("a watch without a follower is neither read for nor ended", async () => {
  const { clock, scripted, hub, first, second } = await followTwo();
  let asked: AbortSignal | undefined;
  scripted.range = ((_request: unknown, options?: { signal?: AbortSignal }) => {
    asked = options?.signal;
    return new Promise((_, reject) => asked?.addEventListener("abort", () => reject(asked?.reason)));
  }) as ScriptedProtocol["range"];
  scripted.stream.answer({ watchId: "0", ...denied });
  hub.unfollow(first.feed);
  expect(asked?.aborted).toBe(true);
  await clock.pass(minute);
  expect(first.received.ends).toEqual([]);
  expect(scripted.streams).toHaveLength(1);
  expect(second.received).toEqual({ lives: 1, stale: [], ends: [] });
});
