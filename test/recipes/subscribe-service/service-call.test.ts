import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import type { ServiceInstance } from "../../../recipes/index.ts";
import { callServers, type ServiceCallParts } from "../../../recipes/subscribe-service/service-call.ts";
import { deferred } from "../../../src/internal/index.ts";
import { FakeClock, settled } from "../../support/fake-clock.ts";

function withClock() {
  const clock = new FakeClock();
  const server = { key: "/svc/a" } as ServiceInstance;
  const parts: ServiceCallParts<unknown> = {
    runtime: { clock, random: () => 0.5 },
    prefix: "/svc/",
    choose: () => server,
    hasOther: () => false,
    someServer: async () => {},
    started: () => {},
    ended: () => {},
    report: () => {},
  };
  return { clock, parts };
}

test("a server that is alone is given a growing moment before it is tried again", async () => {
  const { clock, parts } = withClock();
  const triedAt: number[] = [];
  const call = callServers(
    parts,
    () => {
      triedAt.push(clock.monotonicMs());
      throw new Error("refused");
    },
    { attempts: 4, timeoutMs: 10_000, signal: undefined },
  );
  const failed = expect(call).rejects.toThrow("refused");
  await clock.pass(1_000);
  await failed;
  expect(triedAt).toEqual([0, 25, 75, 175]);
});

test("what comes after the end is not looked at, and nothing is left of a call", async () => {
  const { clock, parts } = withClock();
  const { signal } = new AbortController();
  let fail: (error: Error) => void = () => {};
  const late = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const call = callServers(parts, () => late, { attempts: 1, timeoutMs: 100, signal });
  const timedOut = expect(call).rejects.toMatchObject({ code: "ETCD_TIMEOUT" });
  await clock.pass(100);
  await timedOut;
  expect(await callServers(parts, () => 1, { attempts: 1, timeoutMs: 100, signal })).toBe(1);
  expect(getEventListeners(signal, "abort")).toEqual([]);
  expect(clock.pendingTimers).toBe(0);
  // It would end the process if it were unhandled.
  fail(new Error("late"));
  await settled();
});

test("the moment before a further attempt is part of the time: nothing begins after it", async () => {
  const { clock, parts } = withClock();
  const triedAt: number[] = [];
  const call = callServers(
    { ...parts, runtime: { clock, random: () => 0.999 } },
    () => {
      triedAt.push(clock.monotonicMs());
      throw new Error("refused");
    },
    { attempts: 100, timeoutMs: 1_000, signal: undefined },
  );
  let settledAt = 0;
  const noted = call.finally(() => {
    settledAt = clock.monotonicMs();
  });
  const failed = expect(noted).rejects.toThrow("refused");
  await clock.pass(60_000);
  await failed;
  expect(settledAt).toBe(1_000);
  expect(triedAt.filter((atMs) => atMs >= 1_000)).toEqual([]);
});

test("without an end an attempt has no part of the time that it must keep to", async () => {
  const { clock, parts } = withClock();
  const { promise, resolve: answer } = deferred<string>();
  const limits = { attempts: 3, timeoutMs: Number.POSITIVE_INFINITY, signal: undefined };
  const call = callServers(parts, () => promise, limits);
  expect(clock.pendingTimers).toBe(0);
  await clock.pass(2 ** 32);
  answer("at last");
  expect(await call).toBe("at last");
  let calls = 0;
  const again = callServers(parts, () => (++calls < 3 ? Promise.reject(new Error("refused")) : "third"), limits);
  await clock.pass(1_000);
  expect(await again).toBe("third");
});

test("a server that comes when the time is over is not called", async () => {
  const { clock, parts } = withClock();
  let there = false;
  const late: ServiceCallParts<unknown> = {
    ...parts,
    choose: (tried) => (there ? parts.choose(tried) : undefined),
    someServer: async (timeoutMs) => {
      clock.advance(timeoutMs);
      there = true;
    },
  };
  const call = callServers(late, () => 1, { attempts: 2, timeoutMs: 100, signal: undefined });
  const message = "the call was out of time after 100 ms";
  await expect(call).rejects.toMatchObject({ code: "ETCD_TIMEOUT", message, retryable: true, outcomeUnknown: false });
});

test("a caller that aborts while a server is chosen has none called", async () => {
  const { clock, parts } = withClock();
  const abort = new AbortController();
  const choose = (tried: ReadonlySet<string>) => {
    abort.abort("enough");
    return parts.choose(tried);
  };
  let called = 0;
  const call = callServers({ ...parts, choose }, () => called++, { attempts: 2, timeoutMs: 100, signal: abort.signal });
  await expect(call).rejects.toBe("enough");
  expect([called, clock.pendingTimers]).toEqual([0, 0]);
});

test("a failed result that the caller does not get is given up: the caller aborts, or isFailure throws", async () => {
  const { parts } = withClock();
  const given: string[] = [];
  const answer = (name: string) => ({ body: { cancel: () => given.push(name) } });
  const abort = new AbortController();
  let calls = 0;
  const call = callServers(
    { ...parts, hasOther: () => true },
    () => {
      if (++calls === 1) return answer("of the first attempt");
      abort.abort("enough");
      return answer("of one that was aborted");
    },
    { attempts: 2, timeoutMs: 100, signal: abort.signal, isFailure: () => true },
  );
  await expect(call).rejects.toBe("enough");
  await settled();
  expect(given.sort()).toEqual(["of one that was aborted", "of the first attempt"]);

  given.length = 0;
  const isFailure = () => {
    throw new Error("no status");
  };
  const limits = { attempts: 1, timeoutMs: 100, signal: undefined, isFailure };
  await expect(callServers(parts, () => answer("unjudged"), limits)).rejects.toThrow("no status");
  expect(given).toEqual(["unjudged"]);
});
