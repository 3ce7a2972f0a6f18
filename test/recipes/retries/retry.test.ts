import { expect, test } from "vitest";
import { retry, WarnOnce } from "../../../recipes/retries/index.ts";
import { PermissionDeniedError, UnavailableError } from "../../../src/index.ts";
import { FakeClock, settled } from "../../support/fake-clock.ts";
import { outcomeOf } from "../../support/outcome.ts";

const runtimeOn = (clock: FakeClock) => ({ clock, random: () => 0.5 });

test("it is repeated after failures and after what is too early, until there is an answer", async () => {
  const clock = new FakeClock();
  const failed: string[] = [];
  let attempts = 0;
  const attempt = async () => {
    attempts++;
    if (attempts === 1) throw new Error("away");
    return attempts === 2 ? undefined : "answer";
  };
  const outcome = outcomeOf(
    retry(attempt, {
      runtime: runtimeOn(clock),
      onWarning: ({ message }, againInMs) => failed.push(message, `${againInMs}`),
    }),
  );
  await clock.pass(1_000);
  expect(await outcome).toMatchObject({ value: "answer" });
  expect([attempts, failed]).toEqual([3, ["away", "25"]]);
});

test("a failure that ends it is thrown as it is, and is not reported as one that is tried again", async () => {
  const final = new Error("final");
  const received: Error[] = [];
  const retrying = retry(() => Promise.reject(final), {
    runtime: runtimeOn(new FakeClock()),
    ends: (error) => error === final,
    onWarning: (error) => received.push(error),
  });
  await expect(retrying).rejects.toBe(final);
  expect(received).toEqual([]);
});

test("an abort ends it with its reason: before an attempt, in an attempt and in a pause", async () => {
  const reason = new Error("enough");
  const away = () => Promise.reject(new Error("away"));
  const options = { runtime: runtimeOn(new FakeClock()) };
  let attempts = 0;
  const before = retry(async () => ++attempts, { ...options, signal: AbortSignal.abort(reason) });
  await expect(before).rejects.toBe(reason);
  expect(attempts).toBe(0);

  const within = new AbortController();
  const abortAndFail = async () => {
    within.abort(reason);
    return away();
  };
  await expect(retry(abortAndFail, { ...options, signal: within.signal })).rejects.toBe(reason);

  const pausing = new AbortController();
  const outcome = outcomeOf(retry(away, { ...options, signal: pausing.signal }));
  await settled();
  pausing.abort(reason);
  expect(await outcome).toMatchObject({ error: reason });
});

test("the same message in a row is one warning, and news again when it has worked", () => {
  const received: string[] = [];
  const warnings = new WarnOnce(({ message }) => received.push(message));
  for (const message of ["a", "a", "b", "a"]) warnings.warn(new Error(message));
  warnings.worked();
  warnings.warn(new Error("a"));
  expect(received).toEqual(["a", "b", "a", "a"]);
});

test("what may pass by itself is warned of once, whichever call, key or endpoint it meets", () => {
  const received: Error[] = [];
  const warnings = new WarnOnce((error) => received.push(error));
  const unreached = (call: string, port: number, ms: number) => {
    const cause = new UnavailableError(`http://10.0.0.1:${port}: connect ECONNREFUSED 10.0.0.1:${port}`);
    const last = `no endpoint could serve it within ${ms} ms; last: ${cause.message}`;
    return new UnavailableError(`${call}: ${last}`, { cause, retryable: true });
  };
  const first = unreached('txn of "a"', 1, 5_000);
  for (const error of [first, unreached("grantLease of 5 s", 2, 4_971), unreached('txn of "b"', 3, 1)]) {
    warnings.warn(error);
  }
  const noLeader = new UnavailableError("etcdserver: no leader", { retryable: true });
  warnings.warn(noLeader);
  // Of two keys that are refused each is news.
  const refused = ["a", "b"].map((key) => new PermissionDeniedError(`txn of "${key}": permission denied`));
  for (const error of refused) warnings.warn(error);
  expect(received).toEqual([first, noLeader, ...refused]);
});
