import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  type Balancer,
  balancerNames,
  ConsistentHash,
  isFailedResponse,
  LeastRequests,
  RoundRobin,
  type ServiceInstance,
  type SubscribeServiceOptions,
} from "../../../recipes/index.ts";
import { deferred } from "../../../src/internal/index.ts";
import { settled } from "../../support/fake-clock.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

async function withInstances(ids: string, options: SubscribeServiceOptions = {}) {
  const prefix = lab.newPrefix();
  for (const id of ids) await lab.etcd.put(prefix + id, `10.0.0.1:${id.charCodeAt(0)}`);
  const services = lab.subscribe(prefix, options);
  await services.ready;
  return { prefix, services };
}

const never = () => new Promise<never>(() => {});

test("it resolves with what the call returns, and one server is called", async () => {
  const { services } = await withInstances("abc", { balancer: new RoundRobin() });
  const called: string[] = [];
  const answer = await services.call((server) => {
    called.push(server.id);
    return `from ${server.id}`;
  });
  expect(answer).toBe("from a");
  expect(called).toEqual(["a"]);
});

test("a failure is followed by another server, as often as there are attempts, then it rejects", async () => {
  const { services } = await withInstances("abc", { balancer: new RoundRobin() });
  const called: string[] = [];
  const fail = (server: ServiceInstance) => {
    called.push(server.id);
    throw new Error(`${server.id} refused`);
  };
  await expect(services.call(fail)).rejects.toThrow("a refused");
  await expect(services.call(fail, { attempts: 3 })).rejects.toThrow(/refused/);
  expect([...called].slice(1).sort()).toEqual(["a", "b", "c"]);
  const answer = await services.call(({ id }) => (id === "b" ? "yes" : Promise.reject(new Error("no"))), {
    attempts: 3,
  });
  expect(answer).toBe("yes");
});

test("with a key that belongs to one server the next attempt still goes to another one", async () => {
  const first = (servers: readonly ServiceInstance[]) => servers[0] as ServiceInstance;
  const { services } = await withInstances("ab", { balancer: first });
  const called: string[] = [];
  const fail = ({ id }: ServiceInstance) => Promise.reject(called.push(id));
  await expect(services.call(fail, { attempts: 3, key: "k" })).rejects.toBe(3);
  expect(called.slice(0, 2)).toEqual(["a", "b"]);
});

test("a server that is alone is tried again, after a moment", async () => {
  const { services } = await withInstances("a");
  let calls = 0;
  const answer = await services.call(
    () => {
      if (++calls < 3) throw new Error("not yet");
      return calls;
    },
    { attempts: 3 },
  );
  expect(answer).toBe(3);
});

test("it waits for a first server, and says when none comes in time", async () => {
  const { prefix, services } = await withInstances("");
  const waiting = services.call(({ id }) => id, { timeoutMs: 10_000 });
  await lab.etcd.put(`${prefix}late`, "10.0.0.1:80");
  expect(await waiting).toBe("late");
  await lab.etcd.delete(`${prefix}late`);
  await services.until((list) => list.length === 0);
  await expect(services.call(never, { timeoutMs: 50 })).rejects.toMatchObject({
    code: "ETCD_NO_SERVERS",
    message: `no service is registered under ${prefix}`,
  });
});

test("when no server is left for the next attempt, it rejects with the failure of the last one", async () => {
  const { prefix, services } = await withInstances("a");
  const fail = async () => {
    await lab.etcd.delete(`${prefix}a`);
    await services.until((list) => list.length === 0);
    throw new Error("shutting down");
  };
  await expect(services.call(fail, { attempts: 2, timeoutMs: 2_000 })).rejects.toThrow("shutting down");
});

test("a server that does not answer gets its part of the time, then another one is asked", async () => {
  const { services } = await withInstances("ab", { balancer: new RoundRobin() });
  const aborted: unknown[] = [];
  const answer = await services.call(
    ({ id }, signal) => {
      signal.addEventListener("abort", () => aborted.push(signal.reason.code));
      return id === "a" ? never() : id;
    },
    { attempts: 2, timeoutMs: 400 },
  );
  expect(answer).toBe("b");
  expect(aborted).toEqual(["ETCD_TIMEOUT"]);
  await expect(services.call(never, { timeoutMs: 30 })).rejects.toMatchObject({
    code: "ETCD_TIMEOUT",
    message: expect.stringMatching(/\/[ab] did not answer within (\d+|0\.\d+) ms$/),
  });
});

test("the caller's abort ends it at once with its reason, and counts against no server", async () => {
  const { services } = await withInstances("a", { outlierDetection: { consecutiveFailures: 1, maxEjectedRatio: 1 } });
  const abort = new AbortController();
  let given: AbortSignal | undefined;
  const calling = services.call(
    (_server, signal) => {
      given = signal;
      return never();
    },
    { signal: abort.signal, attempts: 3 },
  );
  await until(() => given);
  abort.abort("enough");
  await expect(calling).rejects.toBe("enough");
  expect(given?.reason).toBe("enough");
  expect(services.list()[0]?.ejected).toBeUndefined();
  await expect(services.call(() => 1, { signal: AbortSignal.abort("before") })).rejects.toBe("before");
  const empty = await withInstances("");
  const waiting = empty.services.call(() => 1, { signal: AbortSignal.timeout(20) });
  await expect(waiting).rejects.toMatchObject({ name: "TimeoutError" });
});

test("aborted right after it was made it rejects with the reason, and with one that was aborted before nothing is called", async () => {
  const { services } = await withInstances("a");
  const abort = new AbortController();
  const calling = services.call(never, { signal: abort.signal });
  abort.abort("enough");
  await expect(calling).rejects.toBe("enough");
  let called = 0;
  const abortIn = new AbortController();
  const failing = services.call(
    () => {
      called++;
      abortIn.abort("within");
      throw new Error("refused");
    },
    { signal: abortIn.signal, attempts: 3 },
  );
  await expect(failing).rejects.toBe("within");
  expect(called).toBe(1);
});

test("calls that begin at the same time see each other", async () => {
  const spread = async (balancer: Balancer<ServiceInstance>, key?: string) => {
    const { services } = await withInstances("abcd", { balancer });
    const calls = new Map<string, number>();
    const call = async ({ id }: ServiceInstance) => {
      calls.set(id, (calls.get(id) ?? 0) + 1);
      await settled();
    };
    await Promise.all(Array.from({ length: 40 }, () => services.call(call, { key })));
    return [...calls.values()];
  };
  expect(await spread(new LeastRequests())).toEqual([10, 10, 10, 10]);
  // 1.25 times the share of 40 calls among 4.
  expect(Math.max(...(await spread(new ConsistentHash(), "hot")))).toBeLessThanOrEqual(13);
});

test("a strategy whose notices throw hurts no call, and is reported by a warning", async () => {
  const boom = () => {
    throw new Error("boom");
  };
  const pick = (servers: readonly ServiceInstance[]) => servers[0] as ServiceInstance;
  const { services } = await withInstances("a", {
    balancer: { pick, changed: boom, started: boom, ended: boom, report: boom },
  });
  const warnings: string[] = [];
  services.on("warning", ({ message }) => warnings.push(message));
  expect(await services.call(() => 1)).toBe(1);
  await until(() => warnings.length === 3);
  await expect(services.call(never, { timeoutMs: 20 })).rejects.toMatchObject({ code: "ETCD_TIMEOUT" });
  expect(new Set(warnings)).toEqual(new Set(["boom"]));
});

const foreign: Readonly<Record<string, (given: ServiceInstance | undefined) => unknown>> = {
  undefined: () => undefined,
  null: () => null,
  "an object of its own": () => ({ address: "x" }),
  "a text": () => "a",
  "an older registration": (given) => ({ ...given, createRevision: 1 }),
};

test.each(Object.keys(foreign))("a strategy that returns %s as a server gets a clear error", async (name) => {
  const pick = ([given]: readonly ServiceInstance[]) => foreign[name]?.(given) as ServiceInstance;
  const message = "SubscribeService: balancer must return one of the servers that it was given";
  for (const balancer of [pick, { pick }]) {
    for (const slowStartMs of [0, 60_000]) {
      const { services } = await withInstances("a", { balancer, slowStartMs });
      expect(() => services.pick()).toThrow(message);
      await expect(services.call(() => 1)).rejects.toThrow(message);
    }
  }
});

test("a strategy may report a server before it returns it", async () => {
  const { services } = await withInstances("ab", {
    outlierDetection: { consecutiveFailures: 1 },
    balancer: (servers) => {
      const server = servers[0] as ServiceInstance;
      services.report(server, new Error("refused"));
      return server;
    },
  });
  expect(services.pick().key).toMatch(/[ab]$/);
  expect(services.list().some(({ ejected }) => ejected)).toBe(true);
});

test("after close() nothing is called; what runs may end", async () => {
  const { services } = await withInstances("a");
  const answer = deferred<string>();
  const running = services.call(() => answer.promise);
  const failing = services.call(
    async () => {
      await services.close();
      throw new Error("refused");
    },
    { attempts: 2 },
  );
  await expect(failing).rejects.toThrow("refused");
  answer.resolve("done");
  expect(await running).toBe("done");
  await expect(services.call(() => 1)).rejects.toMatchObject({ code: "ETCD_CLOSED" });
});

test("a strategy hears when a call begins, when it has ended and what came of it", async () => {
  const heard: string[] = [];
  const note = (what: string) => (server: ServiceInstance) => heard.push(`${what} ${server.id}`);
  const balancer: Balancer<ServiceInstance> = {
    // It takes a while: the time of an attempt is the caller's all the same.
    pick: (servers) => {
      const untilMs = performance.now() + 3;
      while (performance.now() < untilMs);
      return servers[0] as ServiceInstance;
    },
    started: note("started"),
    ended: note("ended"),
    report: (server, { latencyMs, error }) => {
      heard.push(`${server.id}: ${typeof latencyMs} ${(error as Error | undefined)?.message}`);
    },
  };
  const { services } = await withInstances("a", { balancer });
  await services.call(() => 1);
  expect(heard.splice(0)).toEqual(["started a", "a: number undefined", "ended a"]);
  await expect(services.call(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(heard.splice(0)).toEqual(["started a", "a: number no", "ended a"]);
  // One that ignores its signal is busy until it has settled.
  const busy = deferred<void>();
  const ignoring = services.call(() => busy.promise, { timeoutMs: 20 });
  await expect(ignoring).rejects.toMatchObject({ code: "ETCD_TIMEOUT" });
  expect(heard.splice(0)).toEqual(["started a", `a: number ${services.prefix}a did not answer within 20 ms`]);
  busy.resolve();
  await until(() => heard.length > 0);
  expect(heard).toEqual(["ended a"]);
  services.report(services.pick(), new Error("by hand"), { latencyMs: 7 });
  services.report(services.pick());
  expect(heard.splice(1)).toEqual(["a: number by hand", "a: undefined undefined"]);
});

test("calls that end leave no timer and no listener", async () => {
  const { services } = await withInstances("a");
  const abort = new AbortController();
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  for (let call = 0; call < 50; call++) await services.call(() => call, { signal: abort.signal });
  expect(timers()).toBeLessThanOrEqual(before);
});

/** A server that answers until it is killed. */
class HttpServer {
  readonly address: string;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(): Promise<HttpServer> {
    const server = createServer((_request, response) => {
      setImmediate(() => response.end("ok"));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new HttpServer(server);
  }

  /** Connections break in the middle, as when the process is killed. */
  async kill(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }
}

for (const balancer of balancerNames) {
  test(`one of ten servers dies under load by ${balancer}: no call with two attempts is lost`, async () => {
    const servers = await Promise.all(Array.from({ length: 10 }, () => HttpServer.start()));
    for (const server of servers) lab.also(() => server.kill().catch(() => {}));
    const prefix = lab.newPrefix();
    for (const [index, { address }] of servers.entries()) await lab.etcd.put(`${prefix}m${index}`, address);
    const services = lab.subscribe(prefix, { balancer });
    await services.ready;
    const ejected = new Set<string>();
    services.on("ejected", ({ id }) => ejected.add(id));
    let running = true;
    let calls = 0;
    let done = 0;
    const lost: unknown[] = [];
    const victim = servers[3] as HttpServer;
    let toVictim = 0;
    const loads = Array.from({ length: 32 }, async () => {
      while (running && lost.length === 0) {
        const call = services.call(
          async ({ address }, signal) => {
            if (address === victim.address) toVictim++;
            const answer = await fetch(`http://${address}/run`, { signal });
            return answer.text();
          },
          { attempts: 2, key: `user-${calls++}` },
        );
        await call.then(
          () => done++,
          (error) => lost.push(error),
        );
      }
    });
    await until(() => done > 200 || lost.length > 0);
    expect(toVictim).toBeGreaterThan(0);
    await victim.kill();
    const [doneBefore, toVictimBefore] = [done, toVictim];
    await until(() => done > doneBefore + 500 || lost.length > 0);
    running = false;
    await Promise.all(loads);
    expect(lost).toEqual([]);
    // Ejected, or shunned by a strategy that measures: those that were on their way to it, and a few.
    expect(toVictim - toVictimBefore).toBeLessThan(32);
    expect(ejected.size).toBeLessThan(2);
    if (ejected.size > 0) expect([...ejected]).toEqual(["m3"]);
  });
}

const refused: [unknown, unknown, string][] = [
  ["fetch", {}, 'SubscribeService.call: fn must be a function, not "fetch"'],
  [() => 1, { attempts: 0 }, "SubscribeService.call: attempts must be at least 1, not 0"],
  [() => 1, { attempts: 1.5 }, "SubscribeService.call: attempts must be a whole number, not 1.5"],
  [() => 1, { timeoutMs: 0 }, "SubscribeService.call: timeoutMs must be above 0, not 0"],
  [
    () => 1,
    { timeoutMs: 2 ** 31 },
    "SubscribeService.call: timeoutMs must be below 2^31 ms, or Infinity, not 2147483648",
  ],
  [() => 1, { key: 5 }, "SubscribeService.call: key must be a string, not 5"],
  [
    () => 1,
    { retries: 5 },
    "SubscribeService.call: retries is not an option; known are attempts, key, signal, timeoutMs, isFailure",
  ],
  [() => 1, 5, "SubscribeService.call: options must be a plain object, not 5"],
];

for (const [fn, options, message] of refused) {
  test(`refused: ${message}`, async () => {
    const services = lab.subscribe(lab.newPrefix());
    const call = services.call(fn as () => unknown, options as object);
    await expect(call).rejects.toMatchObject({ message, code: "ETCD_INVALID_OPTION" });
  });
}

test("a result that isFailure names is a failure of its server; the call resolves with that of the last attempt", async () => {
  const { services } = await withInstances("abc", {
    balancer: new RoundRobin(),
    outlierDetection: { consecutiveFailures: 1, maxEjectedRatio: 1 },
  });
  const cancelled: string[] = [];
  const answerOf = (id: string, status: number) => ({
    id,
    status,
    body: { cancel: async () => void cancelled.push(id) },
  });
  const options = { attempts: 3, isFailure: isFailedResponse };
  const good = await services.call(({ id }) => answerOf(id, id === "b" ? 200 : 503), options);
  expect(good).toMatchObject({ id: "b", status: 200 });
  expect(cancelled).toEqual(["a"]);
  expect(services.list().map(({ id, ejected = false }) => [id, ejected])).toEqual([
    ["a", true],
    ["b", false],
    ["c", false],
  ]);
  const bad = await services.call(({ id }) => answerOf(id, 503), { ...options, attempts: 2 });
  expect(bad.status).toBe(503);
  expect(cancelled).toHaveLength(2);
  expect(cancelled).not.toContain(bad.id);
});

test("what comes after its time is discarded, and what isFailure throws is a failure", async () => {
  const { services } = await withInstances("a");
  const late = deferred<{ body: { cancel(): void } }>();
  let cancelled = false;
  await expect(services.call(() => late.promise, { timeoutMs: 20 })).rejects.toThrow("did not answer");
  late.resolve({
    body: {
      cancel() {
        cancelled = true;
        throw new Error("it is locked");
      },
    },
  });
  await until(() => cancelled);
  const isFailure = () => {
    throw new Error("a bug of mine");
  };
  await expect(services.call(() => 1, { isFailure })).rejects.toThrow("a bug of mine");
});
