import { beforeEach, expect, test, vi } from "vitest";
import { CandidacyLine } from "../../../recipes/candidacy/internal.ts";
import type { ConfirmationStore } from "../../../recipes/confirmation/confirmation-store.ts";
import { RequestLoop } from "../../../recipes/confirmation/request-loop.ts";
import type { ServiceInstance } from "../../../recipes/index.ts";
import { DeadLetters } from "../../../recipes/queue/dead-letters.ts";
import { Producer } from "../../../recipes/queue/producer.ts";
import { QueueKeys } from "../../../recipes/queue/queue-keys.ts";
import { callServers } from "../../../recipes/subscribe-service/service-call.ts";
import { callUntilKnown } from "../../../recipes/writes/index.ts";
import { txnUntilKnown } from "../../../recipes/writes/txn-until-known.ts";
import {
  ClientClosedError,
  type EtcdClient,
  ExhaustedError,
  RequestRefusedError,
  UnavailableError,
} from "../../../src/index.ts";
import { setRuntime } from "../../../src/internal/runtime-of.ts";
import { FakeClock, settled } from "../../support/fake-clock.ts";
import { outcomeOf } from "../../support/outcome.ts";

// A retry that knows until when it must have worked does not sleep through the rest of its time: what comes back
// shortly before is found. The delays drawn here are the longest that there are.

const surroundings = vi.hoisted(() => ({ systemRuntime: { clock: undefined as never, random: () => 0.999 } }));
vi.mock("../../../src/internal/runtime.ts", () => surroundings);

let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
  surroundings.systemRuntime.clock = clock as never;
});

const runtime = () => ({ clock, random: () => 0.999 });
const away = () => new UnavailableError("etcd is away", { retryable: true, outcomeUnknown: true });

/** Answers from `backMs` on; until then every call fails. */
function backAt(backMs: number): <T>(answer: T) => Promise<T> {
  return async (answer) => {
    if (clock.monotonicMs() < backMs) throw away();
    return answer;
  };
}

/** Lets all the time pass that the work has. */
async function outcomeWithin<T>(work: Promise<T>, limitMs: number) {
  const outcome = outcomeOf(work);
  await clock.pass(limitMs);
  return outcome;
}

const limitMs = 10_000;
const notLongBefore = [1_000, 500, 250, 100].map((ms) => limitMs - ms);

test.each(notLongBefore)("a txn of a queue that ends at 10 s succeeds when etcd is back at %d ms", async (backMs) => {
  const answer = backAt(backMs);
  const etcd = { txn: () => answer({ succeeded: true }) } as unknown as EtcdClient;
  const leftMs = () => limitMs - clock.monotonicMs();
  const { value } = await outcomeWithin(txnUntilKnown([] as never, { etcd, runtime: runtime(), leftMs }), limitMs);
  expect(value).toMatchObject({ succeeded: true });
});

test("a txn of a queue that fails at the end of its time is out of time at once", async () => {
  const etcd = {
    txn: async (_: unknown, { timeoutMs }: { timeoutMs: number }) => {
      clock.advance(timeoutMs);
      throw away();
    },
  } as unknown as EtcdClient;
  const leftMs = () => 1_000 - clock.monotonicMs();
  const outcome = outcomeOf(txnUntilKnown([] as never, { etcd, runtime: runtime(), leftMs }));
  await settled();
  expect(clock.pendingTimers).toBe(0);
  expect(await outcome).toMatchObject({ error: { code: "ETCD_TIMEOUT", outcomeUnknown: true } });
  expect(clock.monotonicMs()).toBe(1_000);
});

test.each(notLongBefore)(
  "a write whose outcome is unknown is repeated in time when etcd is back at %d ms",
  async (backMs) => {
    const answer = backAt(backMs);
    const client = {};
    setRuntime(client, runtime());
    expect(
      await outcomeWithin(
        callUntilKnown("it", client, { timeoutMs: limitMs }, () => answer("written")),
        limitMs,
      ),
    ).toMatchObject({
      value: "written",
    });
  },
);

test.each(notLongBefore)("who waits 10 s for a lock gets in line when etcd is back at %d ms", async (backMs) => {
  const answer = backAt(backMs);
  const granted: number[] = [];
  const etcd = {
    grantLease: async () => {
      await answer(undefined);
      granted.push(clock.monotonicMs());
      throw new Error("in line is enough");
    },
  } as unknown as EtcdClient;
  const line = new CandidacyLine({ etcd, name: "/lock", ttlSeconds: 60, onWarning: () => {} });
  const ending = new AbortController();
  const campaign = line.campaign("", ending.signal, { leftMs: () => limitMs - clock.monotonicMs() });
  const outcome = outcomeOf(campaign);
  await clock.pass(limitMs);
  ending.abort();
  await outcome;
  expect(granted[0]).toBeLessThan(limitMs);
});

test("a write that a full etcd refuses is not repeated, although its outcome is unknown", async () => {
  const client = {};
  setRuntime(client, runtime());
  const full = new ExhaustedError("etcdserver: mvcc: database space exceeded", { outcomeUnknown: true });
  const calls: unknown[] = [];
  const call = async (options: unknown) => {
    calls.push(options);
    throw full;
  };
  expect(await outcomeOf(callUntilKnown("it", client, { timeoutMs: limitMs }, call))).toMatchObject({ error: full });
  expect(calls).toHaveLength(1);
});

/** Fails with each error in turn. */
function failing(...errors: readonly Error[]): () => Promise<never> {
  const left = [...errors];
  return async () => {
    throw left.shift() ?? new Error("it was called too often");
  };
}

const lasts = [
  new ClientClosedError("the client was closed"),
  new RequestRefusedError("it is too large", { beyond: "requestBytes" }),
];

test.each(lasts)(
  "an earlier attempt that may have been executed shows in the error at the end: $name",
  async (last) => {
    const client = {};
    setRuntime(client, runtime());
    const wanted = { code: last.code, message: last.message, outcomeUnknown: true };
    const call = callUntilKnown("it", client, { timeoutMs: limitMs }, failing(away(), last));
    expect((await outcomeWithin(call, limitMs)).error).toMatchObject(wanted);
    const etcd = { txn: failing(away(), last) } as unknown as EtcdClient;
    const leftMs = () => limitMs - (clock.monotonicMs() - limitMs);
    const txn = txnUntilKnown([] as never, { etcd, runtime: runtime(), leftMs });
    expect((await outcomeWithin(txn, limitMs)).error).toMatchObject(wanted);
    expect(last.outcomeUnknown).toBe(false);
  },
);

test("an error at the end stays as it is when no attempt may have been executed", async () => {
  const [, refused] = lasts;
  const etcd = { txn: failing(new UnavailableError("etcd is away", { retryable: true }), refused as Error) };
  const leftMs = () => limitMs - clock.monotonicMs();
  const txn = txnUntilKnown([] as never, { etcd: etcd as unknown as EtcdClient, runtime: runtime(), leftMs });
  expect((await outcomeWithin(txn, limitMs)).error).toBe(refused);
});

test("the reason of a caller's signal stays the caller's own, also after an attempt that may have been executed", async () => {
  const ending = new AbortController();
  const reason = new ClientClosedError("the caller's own");
  const etcd = { txn: failing(away()) } as unknown as EtcdClient;
  const { signal } = ending;
  const outcome = outcomeOf(txnUntilKnown([] as never, { etcd, runtime: runtime(), leftMs: () => limitMs, signal }));
  await settled();
  ending.abort(reason);
  expect((await outcome).error).toBe(reason);
});

test.each([
  [true, "ETCD_EXHAUSTED", 1],
  [false, undefined, 2],
])("a txn whose endsWhenFull is %s ends with %s at a full etcd, after %d calls", async (endsWhenFull, code, calls) => {
  let called = 0;
  const etcd = {
    txn: async () => {
      called++;
      if (called === 1) throw new ExhaustedError("etcdserver: mvcc: database space exceeded", { outcomeUnknown: true });
      return { succeeded: true };
    },
  } as unknown as EtcdClient;
  const leftMs = () => limitMs - clock.monotonicMs();
  const txn = txnUntilKnown([] as never, { etcd, runtime: runtime(), leftMs, endsWhenFull });
  const { error } = await outcomeWithin(txn, limitMs);
  expect((error as { code?: string } | undefined)?.code).toBe(code);
  expect(called).toBe(calls);
});

test("what is put into a queue, or put back, is refused by a full etcd at once", async () => {
  const error = new ExhaustedError("etcdserver: mvcc: database space exceeded", { outcomeUnknown: true });
  const letter = { modRevision: 1, text: JSON.stringify({ value: "v", attempts: 1, diedAtMs: 1 }) };
  const etcd = () => ({ get: async () => letter, txn: failing(error) }) as unknown as EtcdClient;
  const keys = new QueueKeys("/q");
  const call = { timeoutMs: limitMs };
  const put = new Producer(etcd(), keys, runtime()).add("v", { id: undefined, delayMs: 0, ...call });
  expect((await outcomeWithin(put, limitMs)).error).toBe(error);
  const putBack = new DeadLetters(etcd(), keys, runtime()).putBack("a", call);
  expect((await outcomeWithin(putBack, limitMs)).error).toBe(error);
});

test.each(notLongBefore)("a call of a server that is alone and back at %d ms is made again in time", async (backMs) => {
  const answer = backAt(backMs);
  const parts = {
    prefix: "/svc/",
    runtime: runtime(),
    choose: () => ({ key: "/svc/a" }) as ServiceInstance,
    hasOther: () => false,
    someServer: async () => {},
    started: () => {},
    ended: () => {},
    report: () => {},
  };
  const limits = { attempts: 100, timeoutMs: limitMs, signal: undefined };
  expect(
    await outcomeWithin(
      callServers(parts, () => answer("answer"), limits),
      limitMs,
    ),
  ).toMatchObject({
    value: "answer",
  });
});

test.each(notLongBefore)(
  "a request for confirmation is looked at before its deadline when etcd is back at %d ms",
  async (backMs) => {
    const answer = backAt(backMs);
    const looks: number[] = [];
    const requestedAt = clock.wallMs();
    const store = {
      open: async () => ({ requestedAt, deadline: requestedAt + limitMs }),
      read: async () => {
        await answer(undefined);
        looks.push(clock.monotonicMs());
        return { decision: undefined, request: undefined, pending: undefined };
      },
    } as unknown as ConfirmationStore;
    const loop = new RequestLoop({
      id: "a",
      timeoutSeconds: limitMs / 1_000,
      store,
      runtime: runtime(),
      seenRunning: () => false,
      onWarning: () => {},
    });
    const ending = new AbortController();
    const outcome = outcomeOf(loop.run(ending.signal));
    await settled();
    loop.wake();
    await clock.pass(limitMs - 1);
    ending.abort();
    await outcome;
    expect(looks[0]).toBeLessThan(limitMs);
  },
);
