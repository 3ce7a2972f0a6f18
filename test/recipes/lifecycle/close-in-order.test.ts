import { expect, test } from "vitest";
import { closeInOrder } from "../../../recipes/lifecycle/close-in-order.ts";
import { FakeClock } from "../../support/fake-clock.ts";

/** A shutdown whose registrations take `listedMs`, with a server at which one request does not end. */
function shutdownOf(timeoutMs: number, listedMs: number) {
  const clock = new FakeClock();
  const steps: string[] = [];
  const step = (name: string) => steps.push(`${name} at ${clock.monotonicMs()}`);
  const server = { close: () => void step("closed"), closeAllConnections: () => void step("destroyed") };
  const registration = { close: () => new Promise((resolve) => clock.timer(listedMs, () => resolve(undefined))) };
  const lock = { close: async () => step("lock given back") };
  const closed = closeInOrder(
    { servers: [server], drainMs: listedMs, timeoutMs },
    { listed: [registration], held: [lock], followed: [], clients: [] },
    clock,
    (failure) => steps.push(failure),
  );
  return { clock, steps, closed };
}

test.each([
  ["without draining", 20_000, 0, 15_000],
  ["after a long time of draining", 25_000, 20_000, 23_750],
  ["when etcd is away and the registrations take more than drainMs", 8_000, 7_000, 7_750],
])("requests get three quarters of the time that is left, %s", async (_, timeoutMs, listedMs, endsAtMs) => {
  const { clock, steps, closed } = shutdownOf(timeoutMs, listedMs);
  await clock.pass(timeoutMs);
  await closed;
  expect(steps).toEqual([
    `closed at ${listedMs}`,
    `destroyed at ${endsAtMs}`,
    "Object: requests did not end in time",
    `lock given back at ${endsAtMs}`,
  ]);
});
