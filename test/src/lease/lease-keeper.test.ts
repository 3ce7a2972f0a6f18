import { expect, test } from "vitest";
import type {
  KeepAliveStream,
  LeaseKeepAliveResponse,
  Protocol,
  StreamEndpoint,
  StreamHandlers,
} from "../../../src/connection/index.ts";
import { HeldLease } from "../../../src/lease/held-lease.ts";
import { LeaseKeeper } from "../../../src/lease/lease-keeper.ts";
import { type LeaseId, leaseId } from "../../../src/model/lease-id.ts";
import { FakeClock, settled } from "../../support/fake-clock.ts";

// The rules about time, without waiting: a clock of the test's own, and streams that answer when the test says so. What
// real etcds do to the same rules stands in the files beside this one.

interface FakeStream {
  readonly endpoint: string;
  /** What was asked and not answered yet, in order. */
  readonly asked: LeaseId[];
  closed: boolean;
  answer(count?: number, ttlSeconds?: number): void;
}

const ttlSeconds = 6;

function setup(leaseCount: number) {
  const clock = new FakeClock();
  const endpoints = ["a", "b"].map((url) => ({ url }) as StreamEndpoint);
  const streams: FakeStream[] = [];
  const worked: string[] = [];
  const openKeepAlive = async (
    endpoint: StreamEndpoint,
    _limitMs: number,
    handlers: StreamHandlers<LeaseKeepAliveResponse>,
  ): Promise<KeepAliveStream> => {
    const stream: FakeStream = {
      endpoint: endpoint.url,
      asked: [],
      closed: false,
      answer(count = stream.asked.length, ttl = ttlSeconds) {
        for (const id of stream.asked.splice(0, count)) handlers.onMessage({ id, ttlSeconds: ttl });
      },
    };
    streams.push(stream);
    return {
      endpoint,
      renew: (id) => stream.asked.push(id),
      close: () => {
        stream.closed = true;
      },
    };
  };
  const protocol = {
    openKeepAlive,
    streamEndpoints: (after?: StreamEndpoint) => (after === endpoints[0] ? [endpoints[1]] : endpoints),
    streamWorked: ({ url }: StreamEndpoint) => worked.push(url),
    streamFailed() {},
  } as unknown as Protocol;
  const keeper = new LeaseKeeper(protocol, 1_000, { clock, random: () => 0.5 });
  const revoked: LeaseId[] = [];
  const grant = (i: number) => {
    const lease = new HeldLease({
      id: leaseId((i + 1).toString(16)),
      ttlSeconds,
      renewEveryMs: 2_000,
      protocol,
      clock,
      detached: false,
      idIsChosen: false,
      owner: {
        onLapse: () => {},
        onOver: (over) => keeper.forget(over),
        revoke: async () => {},
        onLost: ({ id }) => revoked.push(id),
      },
    });
    lease.deadline.acknowledged(clock.elapsedMs(), ttlSeconds);
    keeper.keep(lease, clock.elapsedMs() + 2_000);
    return lease;
  };
  const leases = Array.from({ length: leaseCount }, (_, i) => grant(i));
  /** Time goes on in small steps, and whatever is awaited goes on with it. */
  const pass = async (ms: number, each = () => {}) => {
    for (let passed = 0; passed < ms; passed += 50) {
      clock.advance(50);
      for (let i = 0; i < 10; i++) await Promise.resolve();
      each();
    }
  };
  return { clock, keeper, leases, grant, streams, worked, revoked, pass };
}

test("a renewal is asked for when it is due, once, and its answer moves the deadline on", async () => {
  const { leases, streams, pass } = setup(1);
  await pass(1_900);
  expect(streams).toHaveLength(0);
  await pass(200);
  expect(streams).toMatchObject([{ endpoint: "a", asked: ["1"] }]);
  await pass(500);
  expect(streams[0]?.asked).toEqual(["1"]);
  streams[0]?.answer();
  expect(leases[0]?.remainingMs()).toBeGreaterThan(5_000);
});

test("renewals that are due at about the same time are sent in one turn, the earliest deadline first", async () => {
  const { keeper, leases, streams, grant, pass } = setup(0);
  const turns: number[] = [];
  const answer = () => {
    const [stream] = streams;
    if (!stream || stream.asked.length === 0) return;
    const deadlines = stream.asked.map((id) => leases.find((lease) => lease.id === id)?.deadline.atMs ?? 0);
    expect(deadlines).toEqual([...deadlines].sort((a, b) => a - b));
    turns.push(stream.asked.length);
    stream.answer();
  };
  for (let i = 0; i < 60; i++) {
    leases.push(grant(i));
    await pass(50, answer);
  }
  turns.length = 0;
  await pass(12_000, answer);
  // Six intervals of 2 s in steps of 128 ms. One by one they would be 360 turns.
  expect(turns.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(360);
  expect(turns.length).toBeLessThanOrEqual(100);
  for (const lease of leases) expect(lease.signal.aborted).toBe(false);
  keeper.close();
});

test("an endpoint worked whenever its stream answers after renewals were sent, and not when an old one answers", async () => {
  const { streams, worked, pass } = setup(3);
  await pass(2_000);
  streams[0]?.answer(2);
  expect(worked).toEqual(["a"]);
  // The third was sent with them.
  streams[0]?.answer();
  expect(worked).toEqual(["a"]);
  await pass(2_000);
  streams[0]?.answer();
  expect(worked).toEqual(["a", "a"]);
  await pass(3_200);
  expect(streams).toMatchObject([{ endpoint: "a" }, { endpoint: "b", asked: { length: 3 } }]);
  streams[0]?.answer();
  expect(worked).toEqual(["a", "a"]);
  streams[1]?.answer();
  expect(worked).toEqual(["a", "a", "b"]);
});

test("a stream that answers nothing is left for the next endpoint with all it owes, and may still answer", async () => {
  const { leases, streams, pass } = setup(3);
  // Due after 2 s, and sent a little earlier, together with others.
  await pass(2_000);
  await pass(850);
  expect(streams).toHaveLength(1);
  await pass(100);
  expect(streams).toMatchObject([
    { endpoint: "a", asked: ["1", "2", "3"], closed: false },
    { endpoint: "b", asked: ["1", "2", "3"] },
  ]);
  streams[0]?.answer();
  for (const lease of leases) expect(lease.remainingMs()).toBeGreaterThan(4_000);
  expect(streams[0]?.closed).toBe(true);
});

test("answers that wait unread while the event loop is blocked are not taken for silence", async () => {
  const { clock, leases, streams, pass } = setup(1);
  await pass(2_050);
  clock.stall(1_500);
  // The timer first, then what has arrived.
  clock.advance(1);
  streams[0]?.answer();
  await pass(150);
  expect(streams).toHaveLength(1);
  expect(leases[0]?.remainingMs()).toBeGreaterThan(3_500);
});

test("a silent stream is left also by a process whose event loop is blocked again and again", async () => {
  const { clock, streams, pass } = setup(1);
  await pass(2_050);
  for (let i = 0; i < 6; i++) {
    clock.stall(400);
    clock.advance(1);
    await Promise.resolve();
  }
  expect(streams.length).toBeGreaterThan(1);
});

test("a stream that goes on answering is not left although much has to wait for its turn", async () => {
  const { leases, streams, pass } = setup(34);
  await pass(2_000);
  // The last of them waits for 1.7 s, where a second of silence would be too long.
  await pass(1_700, () => streams[0]?.answer(1));
  expect(streams).toHaveLength(1);
  streams[0]?.answer();
  for (const lease of leases) expect(lease.signal.aborted).toBe(false);
});

test("a stream that is too slow for a lease is left while there is still time to ask elsewhere", async () => {
  const { leases, streams, pass } = setup(200);
  await pass(2_000);
  await pass(2_500, () => streams[0]?.answer(1));
  expect(streams).toHaveLength(2);
  await pass(500, () => streams[1]?.answer());
  for (const lease of leases) expect(lease.signal.aborted).toBe(false);
});

test("what waits for its turn leaves late, so that its answer counts from then", async () => {
  const { leases, streams, pass } = setup(600);
  await pass(2_100);
  expect(streams[0]?.asked).toHaveLength(512);
  await pass(500);
  streams[0]?.answer();
  const late = streams[0]?.asked ?? [];
  expect(late).toHaveLength(88);
  const first = leases.find(({ id }) => !late.includes(id));
  const last = leases.find(({ id }) => late.includes(id));
  streams[0]?.answer();
  expect((last?.remainingMs() ?? 0) - (first?.remainingMs() ?? 0)).toBeGreaterThanOrEqual(500);
});

test("without any answer every lease is lost at its deadline and goes to be revoked, and nothing is left", async () => {
  const { clock, leases, streams, revoked, pass } = setup(2);
  await pass(5_650);
  for (const lease of leases) expect(lease.signal.aborted).toBe(false);
  await pass(100);
  for (const lease of leases) expect(lease.signal.reason).toMatchObject({ code: "ETCD_LEASE_LOST" });
  expect(revoked).toEqual(["1", "2"]);
  expect(streams.every(({ closed }) => closed)).toBe(true);
  expect(clock.pendingTimers).toBe(0);
});

test("a renewal answered with a TTL of 0 is the end of that lease and of no other", async () => {
  const { leases, streams, pass } = setup(2);
  await pass(2_100);
  streams[0]?.answer(1, 0);
  expect(leases.map(({ signal }) => signal.aborted)).toEqual([true, false]);
});

test("a stream that comes up at the moment when the last lease is given up is closed", async () => {
  const { clock, leases, streams } = setup(1);
  clock.advance(2_000);
  expect(streams).toHaveLength(1);
  leases[0]?.abandon();
  await settled();
  expect(streams[0]?.closed).toBe(true);
});

test("a machine that slept for a part of the TTL has that much less left, and renews at once", async () => {
  const { clock, leases, streams, pass } = setup(1);
  const [lease] = leases as [HeldLease];
  let received = 0;
  lease.signal.addEventListener("abort", () => received++);
  await pass(500);
  clock.suspend(3_000);
  expect(lease.signal.aborted).toBe(false);
  expect(lease.remainingMs()).toBe(2_200);
  // No later than it looks at the clocks again: the timer of the renewal would stand still for another 1.5 s.
  await pass(1_000);
  streams[0]?.answer();
  expect(lease.remainingMs()).toBeGreaterThan(4_600);
  expect([lease.signal.aborted, received]).toEqual([false, 0]);
});

test("a machine that slept for longer than the TTL has lost its leases at the first look, with the event, for good", async () => {
  const { clock, leases, streams, revoked, pass } = setup(1);
  const [lease] = leases as [HeldLease];
  let received = 0;
  lease.signal.addEventListener("abort", () => received++);
  await pass(2_100);
  clock.suspend(3_600_000);
  expect(lease.signal.aborted).toBe(true);
  expect([received, lease.remainingMs(), revoked]).toEqual([1, 0, ["1"]]);
  // An answer to what was sent before it slept.
  streams[0]?.answer();
  await pass(2_000);
  expect(lease.signal.aborted).toBe(true);
  expect(lease.signal.reason).toMatchObject({ code: "ETCD_LEASE_LOST" });
});

test.each([1_500, 2_000, 3_600_000, -3_600_000])(
  "a wall clock that is set by %d ms takes nothing from a lease; if it ran ahead, etcd is asked at once",
  async (ms) => {
    const { clock, leases, streams, pass } = setup(1);
    const [lease] = leases as [HeldLease];
    await pass(500);
    clock.step(ms);
    expect(lease.remainingMs()).toBe(5_200);
    await pass(1_000, () => expect(lease.signal.aborted).toBe(false));
    // A virtual machine that was frozen looks like this once its clock is set right.
    expect(streams.map(({ asked }) => asked)).toEqual(ms > 0 ? [["1"]] : []);
  },
);

test("what a hypervisor hid from every clock is found out by the renewal after the wall clock was set right", async () => {
  const { clock, leases, streams, pass } = setup(2);
  await pass(500);
  clock.step(3_600_000);
  await pass(1_000);
  streams[0]?.answer(1, 0);
  streams[0]?.answer();
  expect(leases.map(({ signal }) => signal.aborted)).toEqual([true, false]);
});

test("a process that was stopped for too long sees the loss first of all, before any timer", () => {
  const { clock, leases, revoked } = setup(1);
  const [lease] = leases as [HeldLease];
  clock.stall(12_000);
  expect(lease.signal.aborted).toBe(true);
  expect(() => lease.signal.throwIfAborted()).toThrow("not renewed within its 6 s");
  expect(lease.remainingMs()).toBe(0);
  expect(revoked).toEqual(["1"]);
});
