import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { resolveClientOptions } from "../../../src/client-options.ts";
import { openProtocol, type Protocol } from "../../../src/connection/index.ts";
import { type Clock, systemRuntime } from "../../../src/internal/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { type Balancer, startBalancer } from "../../support/balancer.ts";
import { requestsServed } from "../../support/gateway/index.ts";

// A firewall or an address translator that forgets a silent connection says nothing to either end. What is sent on it
// gets no answer; a new connection works.

let cluster: EtcdCluster;
let endpoint: string;
/** Leads to etcd by way of `link` first, and directly once the link has gone silent. */
let balancer: Balancer;
let link: FaultProxy;
let protocol: Protocol;
/** How far the clocks are ahead of the real ones; the time of a suspension shows in `elapsedMs` alone. */
let passedMs: number;
let suspendedMs: number;

beforeAll(async () => {
  cluster = await startEtcd();
  endpoint = cluster.member(0).endpoint;
});
beforeEach(async () => {
  link = await FaultProxy.start(endpoint);
  balancer = await startBalancer([link.endpoint]);
  passedMs = 0;
  suspendedMs = 0;
  const { clock, random } = systemRuntime;
  const ahead: Clock = {
    monotonicMs: () => clock.monotonicMs() + passedMs,
    elapsedMs: () => clock.elapsedMs() + passedMs + suspendedMs,
    wallMs: () => clock.wallMs() + passedMs + suspendedMs,
    timer: (delayMs, callback) => clock.timer(delayMs, callback),
  };
  protocol = openProtocol({
    ...resolveClientOptions({ endpoints: balancer.endpoint }),
    runtime: { clock: ahead, random },
  });
  return async () => {
    protocol.close();
    await balancer[Symbol.asyncDispose]();
    await link.close();
  };
});
afterAll(() => cluster.close());

const text = (bytes: string) => new TextEncoder().encode(bytes);

function put(key: string) {
  return protocol.put({ key: text(key), value: text("v") });
}

async function versionOf(key: string): Promise<number> {
  const { kvs } = await protocol.range({ range: { start: text(key) } });
  return kvs[0]?.version ?? 0;
}

function passMinutes(minutes: number): void {
  passedMs += minutes * 60_000;
}

function forgetConnections(): void {
  link.blackHole();
  balancer.targets = [endpoint];
}

async function statusesServed(): Promise<number> {
  return (await requestsServed(endpoint)).Status ?? 0;
}

test("the first put after a silent minute gets a new connection when the old one is dead, and is executed once", async () => {
  const key = randomUUID();
  await put("warm");
  forgetConnections();
  passMinutes(1);
  await put(key);
  expect(await versionOf(key)).toBe(1);
  expect(balancer.accepted).toBeGreaterThan(1);
});

test("so does a crowd of them", async () => {
  const keys = Array.from({ length: 50 }, () => randomUUID());
  await put("warm");
  forgetConnections();
  passMinutes(1);
  await Promise.all(keys.map(put));
  for (const key of keys) expect(await versionOf(key)).toBe(1);
  expect(balancer.accepted).toBeGreaterThan(1);
});

test("a machine that was suspended for so long looks at its connection, too, although its monotonic clock stood still", async () => {
  await put("warm");
  forgetConnections();
  suspendedMs += 3_600_000;
  await put(randomUUID());
  expect(balancer.accepted).toBeGreaterThan(1);
});

test("a connection that was idle and lives is used on, and is asked once for all", async () => {
  await put("warm");
  const before = await statusesServed();
  passMinutes(5);
  await Promise.all(Array.from({ length: 20 }, () => put(randomUUID())));
  await put(randomUUID());
  expect((await statusesServed()) - before).toBe(1);
  expect(balancer.accepted).toBe(1);
});

test("a connection that has answered within the minute is not asked", async () => {
  const before = await statusesServed();
  await put("warm");
  for (let count = 0; count < 3; count++) {
    passMinutes(0.9);
    await put(randomUUID());
  }
  expect((await statusesServed()) - before).toBe(0);
});
