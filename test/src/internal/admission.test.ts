import { expect, test } from "vitest";
import { EtcdTimeoutError, UnavailableError } from "../../../src/index.ts";
import { Admission, type Deferred, deferred } from "../../../src/internal/index.ts";
import { FakeClock, settled } from "../../support/fake-clock.ts";

/** Calls that last until the test ends them, by their names. */
function calls() {
  const clock = new FakeClock();
  const admission = new Admission(clock);
  const underWay = new Map<string, Deferred<void>>();
  const ask = (name: string, options?: Parameters<Admission["run"]>[1]) => {
    const asked = admission.run(() => {
      const call = deferred<void>();
      underWay.set(name, call);
      return call.promise;
    }, options);
    asked.catch(() => {});
    return asked;
  };
  const end = (name: string, error?: Error) => {
    const call = underWay.get(name);
    underWay.delete(name);
    if (error) call?.reject(error);
    else call?.resolve();
    return settled();
  };
  return { clock, admission, underWay, ask, end };
}

const away = () => new UnavailableError("away", { retryable: true });

test("sixty-four calls are under way, the others wait in order, and who goes on with something comes first", async () => {
  const { admission, underWay, ask, end } = calls();
  for (let index = 0; index < 70; index++) void ask(`${index}`);
  void ask("on", { first: true });
  await settled();
  expect([...underWay.keys()]).toEqual(Array.from({ length: 64 }, (_, index) => `${index}`));
  await end("5");
  await end("6");
  expect([...underWay.keys()].slice(-2)).toEqual(["on", "64"]);
  while (underWay.size > 0) for (const name of [...underWay.keys()]) await end(name);
  expect(admission.underWay).toBe(0);
});

test("one that is aborted while it waits is never made, and takes no turn", async () => {
  const { underWay, ask, end } = calls();
  for (let index = 0; index < 64; index++) void ask(`${index}`);
  const abort = new AbortController();
  const given = ask("given up", { signal: abort.signal });
  void ask("next");
  abort.abort("enough");
  await expect(given).rejects.toBe("enough");
  await end("0");
  expect(underWay.has("given up")).toBe(false);
  expect(underWay.has("next")).toBe(true);
  await expect(ask("late", { signal: abort.signal })).rejects.toBe("enough");
});

test("while calls fail fewer are made at once, and more again, one by one, when they work", async () => {
  const { admission, underWay, ask, end } = calls();
  for (let index = 0; index < 500; index++) void ask(`${index}`);
  await settled();
  for (const name of [...underWay.keys()]) await end(name, away());
  expect(admission.underWay).toBe(8);
  await end([...underWay.keys()][0] as string);
  expect(admission.underWay).toBe(9);
  // What is wrong with one call alone says nothing of etcd.
  await end([...underWay.keys()][0] as string, new Error("its own"));
  expect(admission.underWay).toBe(9);
});

test("what the recipes of one client wait for holds up no other client", () => {
  const [one, other] = [{}, {}];
  expect(Admission.of(one)).toBe(Admission.of(one));
  expect(Admission.of(one)).not.toBe(Admission.of(other));
});

const silence = { ms: 1_000, error: () => new Error("silence") };

test("who is patient waits for a turn as long as any call works, and no longer", async () => {
  const { clock, underWay, ask, end } = calls();
  for (let index = 0; index < 64; index++) void ask(`${index}`);
  const waiting = ask("patient", { patience: silence });
  for (let round = 0; round < 5; round++) {
    // Who goes on with something takes the turn that is free.
    void ask(`on ${round}`, { first: true });
    clock.advance(900);
    await end(`${round}`);
    expect(underWay.has(`on ${round}`)).toBe(true);
  }
  clock.advance(500);
  void ask("on", { first: true });
  // A write whose outcome is unknown is not retryable, and no answer.
  await end("10", new EtcdTimeoutError("no answer", { outcomeUnknown: true }));
  clock.advance(499);
  const behind = ask("behind");
  await settled();
  clock.advance(1);
  await expect(waiting).rejects.toThrow("silence");
  while (underWay.size > 0) for (const name of [...underWay.keys()]) await end(name);
  expect(underWay.has("patient")).toBe(false);
  await behind;
});

test("work is waited for as long as any call works, and its own end counts", async () => {
  const { clock, admission, ask, end } = calls();
  const work = deferred<string>();
  const waiting = admission.wait(work.promise, silence);
  for (let seconds = 0; seconds < 10; seconds++) {
    void ask(`${seconds}`);
    await end(`${seconds}`);
    clock.advance(999);
    await settled();
  }
  work.resolve("done");
  await expect(waiting).resolves.toBe("done");
  await expect(admission.wait(Promise.reject(new Error("own")), silence)).rejects.toThrow("own");
  void ask("before");
  await end("before");
  const inVain = admission.wait(new Promise(() => {}), silence);
  clock.advance(999);
  await settled();
  clock.advance(1);
  await expect(inVain).rejects.toThrow("silence");
});
