import { expect, test } from "vitest";
import {
  ClientClosedError,
  ConflictError,
  EtcdTimeoutError,
  InvalidOptionError,
  PermissionDeniedError,
  RequestRefusedError,
  UnauthenticatedError,
  UnavailableError,
} from "../../../src/index.ts";
import { Backoff, endsRetries } from "../../../src/internal/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const refusals = [
  new PermissionDeniedError("no"),
  new UnauthenticatedError("who"),
  new RequestRefusedError("too large"),
];

test("what passes with time never ends retries, what etcd refuses ends them before the first success only, a mistake always", () => {
  const passing = [
    new UnavailableError("away"),
    new EtcdTimeoutError("slow"),
    new ConflictError("a lease id that is taken"),
  ];
  const final = [new ClientClosedError("closed"), new InvalidOptionError("X", "y", "is wrong"), new TypeError("bug")];
  for (const hasWorked of [false, true]) {
    for (const error of passing) expect(endsRetries(error, hasWorked)).toBe(false);
    for (const error of refusals) expect(endsRetries(error, hasWorked)).toBe(!hasWorked);
    for (const error of final) expect(endsRetries(error, hasWorked)).toBe(true);
  }
});

test("pauses grow to 5 s after what passes, and to 30 s after refusals, from small ones at the first of them", () => {
  const backoff = new Backoff({ clock: new FakeClock(), random: () => 0.999 }, { initialMs: 100 });
  const away = new UnavailableError("away");
  const pauses = (error: Error) =>
    Array.from({ length: 12 }, () => Math.ceil(backoff.nextMs({ cause: error }) / 100) * 100);
  expect(pauses(away)).toEqual([100, 200, 400, 800, 1_600, 3_200, ...Array(6).fill(5_000)]);
  const denied = refusals[0] as Error;
  expect(pauses(denied)).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, ...Array(3).fill(30_000)]);
  // Both in turn: no pause is small again.
  expect(pauses(away)).toEqual(Array(12).fill(5_000));
  expect(pauses(denied)).toEqual(Array(12).fill(30_000));
});

test("after a success that lasted, the pauses begin small again, after refusals too", () => {
  const clock = new FakeClock();
  const backoff = new Backoff({ clock, random: () => 0.999 }, { initialMs: 100 });
  for (let i = 0; i < 12; i++) backoff.nextMs({ cause: refusals[0] });
  backoff.succeeded();
  clock.advance(5_000);
  expect(backoff.nextMs({ cause: refusals[0] })).toBeLessThan(100);
});
