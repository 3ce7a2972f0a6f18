import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { SubscribeService } from "../../../recipes/index.ts";
import { EtcdClient, InvalidOptionError } from "../../../src/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { RegistryLab } from "../../support/registry-lab.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("it resolves with the list as soon as that is as wanted, at once if it is", async () => {
  const prefix = lab.newPrefix();
  const services = lab.subscribe(prefix);
  const two = services.until((list) => list.length === 2);
  await lab.etcd.put(`${prefix}m1`, "10.0.0.1:80");
  await lab.etcd.put(`${prefix}m2`, "10.0.0.2:80");
  expect(await two).toBe(services.list());
  expect(await services.until((list) => list.length === 2, { timeoutMs: 1 })).toBe(services.list());
  const none = services.until((list) => list.length === 0);
  await lab.etcd.delete(`${prefix}m1`);
  await lab.etcd.delete(`${prefix}m2`);
  expect(await none).toEqual([]);
});

test("before the first list nothing is as wanted, not even an empty one", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}m1`, "10.0.0.1:80");
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  await proxy.down();
  const services = lab.subscribe(prefix, { client: lab.client({ endpoints: proxy.endpoint, requestTimeoutMs: 300 }) });
  const seen: number[] = [];
  const look = services.until((list) => {
    seen.push(list.length);
    return true;
  });
  await expect(services.until((list) => list.length === 0, { timeoutMs: 50 })).rejects.toMatchObject({
    code: "ETCD_TIMEOUT",
  });
  expect(seen).toEqual([]);
  await proxy.up();
  expect(await look).toHaveLength(1);
  expect(seen).toEqual([1]);
});

test("it rejects when its time is over, its signal aborts, or its predicate throws, and leaves no timer", async () => {
  const services = lab.subscribe(lab.newPrefix());
  await services.ready;
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  await expect(services.until(() => false, { timeoutMs: 20 })).rejects.toMatchObject({
    code: "ETCD_TIMEOUT",
    message: `the list under ${services.prefix} did not become as wanted within 20 ms`,
  });
  const abort = new AbortController();
  const aborted = services.until(() => false, { timeoutMs: 60_000, signal: abort.signal });
  abort.abort("enough");
  await expect(aborted).rejects.toBe("enough");
  await expect(services.until(() => true, { signal: AbortSignal.abort("before") })).rejects.toBe("before");
  const boom = () => {
    throw new Error("boom");
  };
  await expect(services.until(boom, { timeoutMs: 60_000 })).rejects.toThrow("boom");
  expect(timers()).toBeLessThanOrEqual(before);
});

test("it rejects when the list is closed, and after", async () => {
  const services = lab.subscribe(lab.newPrefix());
  const waiting = expect(services.until(() => false)).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  await services.close();
  await waiting;
  await expect(services.until(() => true)).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  await expect(services.ready).rejects.toMatchObject({ code: "ETCD_CLOSED" });
});

// No server listens there: options are checked before any I/O.
const client = new EtcdClient({ endpoints: "http://127.0.0.1:9" });

const refused: [unknown, unknown, string][] = [
  ["", {}, "SubscribeService: prefix must not be empty: that would be every key there is"],
  [undefined, {}, "SubscribeService: prefix must be a string, not undefined"],
  ["/svc/", { balancr: "random" }, 'SubscribeService: balancr is not an option; did you mean "balancer"?'],
  [
    "/svc/",
    { balancer: "round-robbin" },
    `SubscribeService: balancer must be "round-robin", "random", "weighted-round-robin", "p2c", "least-requests", "consistent-hash", a function or a Balancer, not "round-robbin"; did you mean "round-robin"?`,
  ],
  [
    "/svc/",
    { balancer: 5n },
    'SubscribeService: balancer must be "round-robin", "random", "weighted-round-robin", "p2c", "least-requests", "consistent-hash", a function or a Balancer, not 5n',
  ],
  ["/svc/", { balancer: client }, /^SubscribeService: balancer must be .* a function or a Balancer, not an EtcdClient/],
  [
    "/svc/",
    { metadata: { zone: "string" } },
    "SubscribeService: metadata must be a Standard Schema, such as one of zod, valibot or arktype",
  ],
  ["/svc/", "random", "SubscribeService: options must be a plain object"],
  ["/svc/", { maxDropRatio: 0 }, "SubscribeService: maxDropRatio must be above 0"],
  ["/svc/", { maxDropRatio: 1.1 }, "SubscribeService: maxDropRatio must be at most 1"],
  ["/svc/", { dropHoldMs: 5 }, "SubscribeService: dropHoldMs says how long maxDropRatio holds back; give that, too"],
  ["/svc/", { changeDelayMs: Number.NaN }, "SubscribeService: changeDelayMs must be a number of milliseconds"],
  [
    "/svc/",
    { changeDelayMs: 100, changeMaxDelayMs: 50 },
    "SubscribeService: changeMaxDelayMs must be at least changeDelayMs, 100",
  ],
  [
    "/svc/",
    { changeMaxDelayMs: 50 },
    "SubscribeService: changeMaxDelayMs says how long changeDelayMs may wait; give that, too",
  ],
  ["/svc/", { zone: "" }, "SubscribeService: zone must not be empty"],
  ["/svc/", { slowStartMs: -1 }, "SubscribeService: slowStartMs must be at least 0"],
  [
    "/svc/",
    { outlierDetection: true },
    "SubscribeService: outlierDetection must be an object such as { consecutiveFailures: 5 }, or false, not true",
  ],
  [
    "/svc/",
    { outlierDetection: { consecutiveFailures: 0 } },
    "SubscribeService: outlierDetection.consecutiveFailures must be at least 1",
  ],
  ["/svc/", { outlierDetection: { failureRate: 0 } }, "SubscribeService: outlierDetection.failureRate must be above 0"],
  [
    "/svc/",
    { outlierDetection: { baseEjectionMs: 500, maxEjectionMs: 100 } },
    "SubscribeService: outlierDetection.maxEjectionMs must be at least baseEjectionMs, 500",
  ],
  [
    "/svc/",
    { client: 5 },
    'SubscribeService: client must be an EtcdClient of this package, or options for one, such as { endpoints: "http://127.0.0.1:2379" }, not 5',
  ],
].map(([prefix, options, message]) => [prefix, options, message as string]);

for (const [prefix, options, message] of refused) {
  test(`refused: ${message}`, () => {
    const given = typeof options === "object" ? { client, ...options } : options;
    const construct = () => new SubscribeService(prefix as string, given as object);
    expect(construct).toThrow(InvalidOptionError);
    expect(construct).toThrow(message);
  });
}

const refusedUntils: [unknown, unknown, string][] = [
  ["list", {}, 'SubscribeService.until: predicate must be a function, not "list"'],
  [() => true, { timeoutMs: 0 }, "SubscribeService.until: timeoutMs must be above 0, not 0"],
  [
    () => true,
    { timeoutMs: Number.NaN },
    "SubscribeService.until: timeoutMs must be a number of milliseconds, not NaN",
  ],
  [() => true, { timeout: 5 }, 'SubscribeService.until: timeout is not an option; did you mean "timeoutMs"?'],
  [() => true, 500, "SubscribeService.until: options must be a plain object, not 500"],
  [() => true, { signal: {} }, "SubscribeService.until: signal must be an AbortSignal, not an object"],
];

for (const [predicate, options, message] of refusedUntils) {
  test(`a wait is refused: ${message}`, async () => {
    await using services = new SubscribeService("/svc/", { client });
    const wait = services.until(predicate as () => boolean, options as object);
    await expect(wait).rejects.toMatchObject({ message, code: "ETCD_INVALID_OPTION" });
  });
}
