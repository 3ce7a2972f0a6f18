import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { withParts } from "../../../src/client-parts.ts";
import { EtcdClient, type EtcdClientOptions, prefix } from "../../../src/index.ts";
import { systemRuntime } from "../../../src/internal/runtime.ts";
import { type ClusterTls, type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { DnsServer } from "../../support/dns-server.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

// A domain as the endpoint: DNS names the members.

const SECURED = "_etcd-client-ssl._tcp.example.test";
const PLAIN = "_etcd-client._tcp.example.test";
const domain = "etcd+srv://example.test";

let cluster: EtcdCluster;
let dns: DnsServer;
/** How much later it is for clients than for the test. */
let leapMs: number;
const made: EtcdClient[] = [];

beforeAll(async () => {
  cluster = await startEtcd({ members: 3 });
});
beforeEach(async () => {
  dns = await DnsServer.start();
  leapMs = 0;
});
afterEach(async () => {
  for (const client of made.splice(0)) await client.close();
  await dns[Symbol.asyncDispose]();
  delete process.env.ETCD_ENDPOINTS;
});
afterAll(() => cluster.close());

const at = (index: number) => cluster.member(index).endpoint;
const hostAt = (index: number) => new URL(at(index)).host;
const all = () => [0, 1, 2].map(hostAt);

function clientOf(options: EtcdClientOptions = { endpoints: domain }): EtcdClient {
  const { clock, ...runtime } = systemRuntime;
  const later = { ...clock, monotonicMs: () => clock.monotonicMs() + leapMs };
  const parts = { runtime: { ...runtime, clock: later }, resolver: () => dns.resolver() };
  const client = new EtcdClient(withParts(options, parts));
  made.push(client);
  return client;
}

test("DNS names the members when the first of them is needed, those with TLS first", async () => {
  dns.answers.set(PLAIN, all());
  const etcd = clientOf();
  expect(etcd.endpoints).toEqual([domain]);
  expect(dns.asked).toEqual([]);
  const [lease] = await Promise.all([etcd.grantLease(5), etcd.put("a", "1"), etcd.get("b")]);
  expect([...etcd.endpoints].sort()).toEqual([...cluster.endpoints].sort());
  expect(dns.asked).toEqual([SECURED, PLAIN]);
  expect(lease.signal.aborted).toBe(false);
  await etcd.get("a");
  expect(dns.asked).toHaveLength(2);
});

test("ETCD_ENDPOINTS takes a domain as well, and a watch may be what needs the members first", async () => {
  dns.answers.set(PLAIN, all());
  process.env.ETCD_ENDPOINTS = domain;
  const etcd = clientOf({});
  const watch = etcd.watch(prefix("w/"));
  const seen = record(watch);
  await watch.ready;
  await etcd.put("w/1", "v");
  await until(() => seen.items.some(({ events }) => events[0]?.kv.key === "w/1"));
  expect(etcd.endpoints).toHaveLength(3);
});

test("members with TLS are connected to with it", async () => {
  await using secure = await startEtcd({ tls: true });
  dns.answers.set(SECURED, [new URL(secure.endpoints[0] as string).host]);
  const { ca, cert, key } = secure.tls as ClusterTls;
  const etcd = clientOf({ endpoints: domain, tls: { ca, cert, key } });
  await etcd.put("a", "1");
  expect(etcd.endpoints).toEqual(secure.endpoints);
  expect(dns.asked).toEqual([SECURED]);
});

test.each(["SERVFAIL", "silence"] as const)(
  "without an answer about members with TLS (%s) a client does not become plain, and goes on once there is one",
  async (answer) => {
    dns.answers.set(PLAIN, all());
    dns.answers.set(SECURED, answer);
    const etcd = clientOf();
    await expect(etcd.put("a", "1", { timeoutMs: 700 })).rejects.toMatchObject({
      code: "ETCD_UNAVAILABLE",
      retryable: true,
      outcomeUnknown: false,
      message: expect.stringMatching(
        /last: etcd\+srv:\/\/example\.test: (DNS did not say what|no answer from DNS yet)/,
      ),
    });
    expect(dns.asked).not.toContain(PLAIN);
    expect(etcd.endpoints).toEqual([domain]);
    const put = etcd.put("a", "2");
    dns.answers.delete(SECURED);
    await put;
  },
);

test("a domain without members is an error that says what was looked for, until it has some", async () => {
  const etcd = clientOf();
  const nothing = `last: ${domain}: DNS has no SRV record of ${SECURED}, nor of ${PLAIN}`;
  // Whatever the time that DNS takes for its answers.
  await until(async () => {
    await expect(etcd.get("a", { timeoutMs: 300 })).rejects.toThrow(nothing);
    return true;
  });
  expect(await etcd.health({ endpoint: domain, timeoutMs: 300 })).toMatchObject({ healthy: false, endpoint: domain });
  const crowd = Array.from({ length: 200 }, () => etcd.get("a"));
  const before = dns.asked.length;
  dns.answers.set(PLAIN, all());
  await Promise.all(crowd);
  expect(dns.asked.length - before).toBeLessThan(20);
});

test("a client in use asks again by and by, and a watch goes on at other members", async () => {
  dns.answers.set(PLAIN, [hostAt(0)]);
  const etcd = clientOf();
  const watch = etcd.watch(prefix("moved/"));
  const seen = record(watch);
  await watch.ready;
  await etcd.put("moved/1", "v");
  expect(etcd.endpoints).toEqual([at(0)]);
  dns.answers.set(PLAIN, [hostAt(1), hostAt(2)]);
  leapMs += 120_000;
  await etcd.put("moved/2", "v");
  await until(() => etcd.endpoints.length === 2);
  expect([...etcd.endpoints].sort()).toEqual([at(1), at(2)].sort());
  await etcd.put("moved/3", "v");
  await until(() => seen.items.some(({ events }) => events.some(({ kv }) => kv.key === "moved/3")));
  // What DNS said last holds while it does not answer.
  dns.answers.set(SECURED, "silence");
  leapMs += 120_000;
  const before = dns.asked.length;
  await etcd.put("moved/4", "v");
  await until(() => dns.asked.length > before);
  await etcd.put("moved/5", "v");
  expect(etcd.endpoints).toHaveLength(2);
});

test("when no member can be reached DNS is asked soon", async () => {
  await using gone = await startEtcd({});
  dns.answers.set(PLAIN, [new URL(gone.endpoints[0] as string).host]);
  const etcd = clientOf();
  await etcd.put("a", "1");
  dns.answers.set(PLAIN, all());
  await gone.close();
  leapMs += 5_000;
  await until(() => etcd.put("a", "2", { timeoutMs: 2_000 }));
  expect(etcd.endpoints).toHaveLength(3);
});

test("with followMembers the member list goes before DNS, which is asked when no member can be reached", async () => {
  dns.answers.set(PLAIN, [hostAt(1)]);
  const etcd = clientOf({ endpoints: domain, followMembers: true });
  await etcd.put("a", "1");
  await until(() => etcd.endpoints.length === 3);
  const { length } = dns.asked;
  leapMs += 120_000;
  await etcd.put("a", "2");
  expect(dns.asked).toHaveLength(length);
  expect(etcd.endpoints).toHaveLength(3);
});

test("endpoints that the user sets hold for good", async () => {
  dns.answers.set(PLAIN, all());
  const etcd = clientOf();
  expect(() => etcd.setEndpoints(domain)).toThrow(
    `setEndpoints: endpoints has "${domain}", which only a new client can take`,
  );
  etcd.setEndpoints(at(2));
  await etcd.put("a", "1");
  leapMs += 120_000;
  await etcd.put("a", "2");
  expect(etcd.endpoints).toEqual([at(2)]);
  expect(dns.asked).toEqual([]);
});
