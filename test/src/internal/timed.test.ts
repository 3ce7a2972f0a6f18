import { expect, test } from "vitest";
import { EtcdTimeoutError, RequestRefusedError, UnavailableError } from "../../../src/index.ts";
import { sleep, timed } from "../../../src/internal/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { outcomeOf } from "../../support/outcome.ts";

// What takes too long says what failed last.

test("each call has a moment less than the time that is left", async () => {
  const clock = new FakeClock();
  const times: (number | undefined)[] = [];
  const outcome = outcomeOf(
    timed(clock, "it", { timeoutMs: 1_000 }, async (options) => {
      times.push(options.timeoutMs);
      await sleep(clock, 900);
      times.push(options.timeoutMs);
    }),
  );
  await clock.pass(900);
  await outcome;
  expect(times).toEqual([900, 90]);
  expect(clock.pendingTimers).toBe(0);
});

test("a call that etcd does not answer to the end is named, and the cause", async () => {
  const clock = new FakeClock();
  const last = new UnavailableError("connect ECONNREFUSED", { retryable: true });
  const outcome = outcomeOf(
    timed(clock, "the put of k", { timeoutMs: 1_000 }, async ({ timeoutMs = 0 }) => {
      await sleep(clock, timeoutMs);
      throw last;
    }),
  );
  await clock.pass(1_000);
  const { error } = await outcome;
  expect(error).toBeInstanceOf(EtcdTimeoutError);
  expect(error).toMatchObject({
    message: "the put of k took longer than 1000 ms; last: connect ECONNREFUSED",
    cause: last,
    retryable: true,
    outcomeUnknown: false,
  });
});

test.each([
  { of: "the last call", before: false, at: true },
  { of: "one that was tried again", before: true, at: false },
])("the outcome is unknown if that of $of is", async ({ before, at }) => {
  const clock = new FakeClock();
  const away = (outcomeUnknown: boolean) => new UnavailableError("away", { retryable: true, outcomeUnknown });
  const outcome = outcomeOf(
    timed(clock, "it", { timeoutMs: 1_000 }, async ({ timeoutMs = 0 }, failed) => {
      failed(away(before));
      await sleep(clock, timeoutMs);
      throw away(at);
    }),
  );
  await clock.pass(1_000);
  expect((await outcome).error).toMatchObject({ code: "ETCD_TIMEOUT", outcomeUnknown: true });
});

test("so is what was tried again and still failed when the time was over", async () => {
  const clock = new FakeClock();
  const last = new UnavailableError("etcd is away", { retryable: true });
  const outcome = outcomeOf(
    timed(clock, "it", { timeoutMs: 1_000 }, async ({ signal }, failed) => {
      failed(last);
      await sleep(clock, 5_000, signal);
    }),
  );
  await clock.pass(1_000);
  expect((await outcome).error).toMatchObject({
    message: "it took longer than 1000 ms; last: etcd is away",
    cause: last,
    retryable: true,
    outcomeUnknown: true,
  });
});

test("before any call has failed, what keeps the endpoints away is the cause", async () => {
  const clock = new FakeClock();
  const why = new UnavailableError("127.0.0.1:1: connect ECONNREFUSED", { retryable: true });
  const outcome = outcomeOf(
    timed(
      clock,
      "it",
      { timeoutMs: 1_000 },
      async ({ signal }) => {
        await sleep(clock, 5_000, signal);
      },
      () => why,
    ),
  );
  await clock.pass(1_000);
  expect((await outcome).error).toMatchObject({
    message: "it took longer than 1000 ms; last: 127.0.0.1:1: connect ECONNREFUSED",
    cause: why,
  });
});

test("what fails early, and what etcd refuses at any time, stays as it is", async () => {
  for (const [afterMs, error] of [
    [10, new UnavailableError("etcd is away", {})],
    [990, new RequestRefusedError("no")],
  ] as const) {
    const clock = new FakeClock();
    const outcome = outcomeOf(
      timed(clock, "it", { timeoutMs: 1_000 }, async () => {
        await sleep(clock, afterMs);
        throw error;
      }),
    );
    await clock.pass(1_000);
    expect((await outcome).error).toBe(error);
  }
});
