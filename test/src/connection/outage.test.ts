import { once } from "node:events";
import { createServer } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Outage } from "../../../src/connection/endpoints/outage.ts";
import { EtcdClient, prefix } from "../../../src/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";

// Endpoints that cannot be reached while something waits: the process is warned, once.

const a = { url: "http://a:2379" };
const b = { url: "http://b:2379" };
const refused = new Error("refused");

let clock: FakeClock;
let outage: Outage;
let warnings: Error[];

const take = (warning: Error) => void warnings.push(warning);

beforeEach(() => {
  clock = new FakeClock();
  outage = new Outage(clock);
  warnings = [];
  process.on("warning", take);
});
afterEach(() => {
  process.off("warning", take);
});

/** Warnings come in the next tick. */
async function warned(): Promise<string[]> {
  await new Promise(setImmediate);
  return warnings.splice(0).map(({ message }) => message);
}

test("five seconds of failures of every endpoint make one warning, which says why for each", async () => {
  for (const ms of [0, 2_000, 2_999]) {
    clock.advance(ms);
    for (const { url } of [a, b]) outage.failed(url, refused, [a, b]);
  }
  expect(await warned()).toEqual([]);
  clock.advance(1);
  outage.failed(a.url, new Error(`${a.url}: no answer`), [a, b]);
  expect(await warned()).toEqual(["etcd was not reached for 5 s: http://a:2379: no answer; http://b:2379: refused"]);
  for (let round = 0; round < 100; round++) {
    clock.advance(10_000);
    outage.failed(a.url, refused, [a, b]);
  }
  expect(await warned()).toEqual([]);
});

test("where a member has answered, it is not said that etcd is not reached", async () => {
  const noLeader = new Error("etcdserver: no leader");
  for (const ms of [0, 5_000]) {
    clock.advance(ms);
    outage.failed(a.url, noLeader, [a, b]);
    outage.failed(b.url, refused, [a, b]);
  }
  const why = "http://a:2379: etcdserver: no leader; http://b:2379: refused";
  expect(outage.why([a, b])?.message).toBe(`no endpoint serves: ${why}`);
  expect(await warned()).toEqual([`no endpoint served for 5 s: ${why}`]);
  outage.failed(a.url, refused, [a, b]);
  expect(outage.why([a, b])?.message).toBe("etcd is not reached: http://a:2379: refused; http://b:2379: refused");
});

test("an endpoint that was not tried may be fine, an answer ends the outage, and the next one warns again", async () => {
  outage.failed(a.url, refused, [a, b]);
  clock.advance(6_000);
  outage.failed(a.url, refused, [a, b]);
  expect(await warned()).toEqual([]);
  outage.over();
  for (const round of [1, 2]) {
    outage.failed(a.url, refused, [a]);
    clock.advance(5_000);
    outage.failed(a.url, refused, [a]);
    expect(await warned(), `outage ${round}`).toEqual(["etcd was not reached for 5 s: http://a:2379: refused"]);
    outage.over();
  }
});

test("what failed long ago, while nothing waits, is no outage", async () => {
  outage.failed(a.url, refused, [a]);
  clock.advance(15_001);
  outage.failed(a.url, refused, [a]);
  expect(await warned()).toEqual([]);
});

test("of many endpoints a few are named", async () => {
  const many = Array.from({ length: 8 }, (_, index) => ({ url: `http://m${index}` }));
  for (const { url } of many) outage.failed(url, refused, many);
  clock.advance(5_000);
  outage.failed("http://m0", refused, many);
  expect(await warned()).toEqual([
    expect.stringMatching(/: http:\/\/m0: refused; .*http:\/\/m4: refused; and 3 more$/),
  ]);
});

test("a mirror that waits for a server that is not there warns, unless that is turned off", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  const endpoints = `http://127.0.0.1:${port}`;
  await using quiet = new EtcdClient({ endpoints, warnUnreachable: false });
  await using etcd = new EtcdClient({ endpoints });
  await using silent = quiet.mirror(prefix("k"));
  await using mirror = etcd.mirror(prefix("k"));
  const [warning] = await once(process, "warning");
  expect(warning).toMatchObject({
    name: "EtcdWarning",
    code: "ETCD_UNREACHABLE",
    message: expect.stringContaining(`${endpoints}: connect ECONNREFUSED 127.0.0.1:${port}`),
  });
  expect([silent.status, mirror.status]).toEqual(["connecting", "connecting"]);
  expect(await warned()).toHaveLength(1);
});
