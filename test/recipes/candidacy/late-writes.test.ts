import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { Candidacy } from "../../../recipes/candidacy/internal.ts";
import { type EtcdClient, putOp, type Term } from "../../../recipes/index.ts";
import { deferred, onAbort } from "../../../src/internal/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { leasesOf } from "../../support/gateway/index.ts";
import { etcdErrorOf, outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";
import { ElectionLab } from "./election-lab.ts";

// GUARANTEES 15: a write that timed out can land later.

let lab: ElectionLab;

beforeAll(async () => {
  lab = await ElectionLab.start();
});
afterEach(() => {
  vi.restoreAllMocks();
  return lab.clear();
});
afterAll(() => lab?.[Symbol.asyncDispose]());

async function proxied() {
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const client = lab.client({ endpoints: proxy.endpoint, requestTimeoutMs: 500 });
  // What follows is about calls on a connection that stands: a busy machine may take its time for that.
  await client.get("connected", { timeoutMs: 10_000 });
  return { proxy, client };
}

const aborted = ({ signal }: Term) => new Promise<void>((resolve) => void onAbort(signal, resolve));

/** A term of an election of its own. */
async function ledBy(client: EtcdClient): Promise<Term> {
  const election = lab.election(lab.newName(), "a", { client, ttlSeconds: 60 });
  void election.lead(aborted).catch(() => {});
  return until(() => election.term);
}

test("a key whose put was not answered is found again: the place in line is kept, and no candidate waits for itself", async () => {
  const name = lab.newName();
  const { proxy, client } = await proxied();
  const candidacy = new Candidacy(client, name, "a", await client.grantLease(10));
  lab.also(() => candidacy.leave());
  proxy.blackHole("toClient");
  expect(await etcdErrorOf(candidacy.untilFirst())).toMatchObject({ code: "ETCD_TIMEOUT", outcomeUnknown: true });
  await until(() => lab.etcd.get(candidacy.key));
  const behind = lab.mutex(name).acquire();
  await until(async () => (await lab.line(name)).length === 2);
  await proxy.heal();
  await candidacy.untilFirst();
  expect((await lab.etcd.get(candidacy.key))?.createRevision).toBe(candidacy.token);
  expect(await lab.line(name)).toHaveLength(2);
  await candidacy.leave();
  await (await behind).release();
});

test("a wait that was given up while its put was under way leaves nothing behind when the put lands", async () => {
  const name = lab.newName();
  const { proxy, client } = await proxied();
  const mutex = lab.mutex(name, { client, ttlSeconds: 60 });
  await (await mutex.acquire()).release();
  for (let round = 0; round < 5; round++) {
    const lease = client.grantLease(60);
    const candidacy = new Candidacy(client, name, "", await lease);
    proxy.blackHole("toServer");
    await etcdErrorOf(candidacy.untilFirst());
    const left = candidacy.leave();
    await proxy.heal();
    await left;
  }
  await until(async () => (await leasesOf(lab.endpoint)).length === 0, { timeoutMs: 20_000 });
  expect(await lab.line(name)).toEqual([]);
});

test("a proclamation that timed out does not land over a later one", async () => {
  const name = lab.newName();
  const proxies = await Promise.all([FaultProxy.start(lab.endpoint), FaultProxy.start(lab.endpoint)]);
  for (const proxy of proxies) lab.also(() => proxy.close());
  const client = lab.client({ endpoints: proxies.map(({ endpoint }) => endpoint), requestTimeoutMs: 400 });
  const election = lab.election(name, "a", { client });
  void election.lead(aborted).catch(() => {});
  const term = await until(() => election.term);
  let landed = 0;
  for (let round = 0; landed < 6 && round < 40; round++) {
    const held = proxies[round % 2] as FaultProxy;
    held.blackHole("toServer");
    const early = await outcomeOf(term.proclaim(`early ${round}`));
    // By the other way.
    if (early.error) await until(() => term.proclaim(`late ${round}`).then(() => true));
    const before = await lab.txns();
    await held.heal();
    if (!early.error) continue;
    // Not each one lands: some are cancelled in the moment in which they arrive.
    for (let writes = 0; writes < 20; writes++) await lab.etcd.put(`${name}-another`, "");
    landed += (await lab.txns()) - before;
    expect((await lab.etcd.get(term.key))?.text).toBe(`late ${round}`);
  }
  console.log(`${landed} late proclamations reached etcd`);
});

test("a proclamation waits for an earlier one no longer than its own time, or until its signal aborts", async () => {
  const term = await ledBy(lab.etcd);
  const arrives = deferred<void>();
  const spy = vi.spyOn(lab.etcd, "txn").mockImplementationOnce(async (...args) => {
    await arrives.promise;
    return lab.etcd.txn(...args);
  });
  const end = new AbortController();
  const first = outcomeOf(term.proclaim("first"));
  let short: unknown;
  term.proclaim("short", { timeoutMs: 300 }).catch((error) => {
    short = error;
  });
  const given = outcomeOf(term.proclaim("given up", { signal: end.signal }));
  // Nothing of it was sent.
  expect(await until(() => short)).toMatchObject({ code: "ETCD_TIMEOUT", retryable: true, outcomeUnknown: false });
  const reason = new Error("given up");
  end.abort(reason);
  expect((await given).error).toBe(reason);
  for (const timeoutMs of [0, Number.NaN, "1"]) {
    await expect(term.proclaim("no", { timeoutMs: timeoutMs as number })).rejects.toThrow(/timeoutMs/);
  }
  // It still comes after the first one, although those between them did not wait for that.
  const last = outcomeOf(term.proclaim("last"));
  for (let calls = 0; calls < 3; calls++) await lab.etcd.get(term.key);
  expect(spy).toHaveBeenCalledTimes(1);
  arrives.resolve();
  for (const { error } of await Promise.all([first, last])) expect(error).toBeUndefined();
  expect((await lab.etcd.get(term.key))?.text).toBe("last");
});

test("a proclamation that is overtaken again and again ends at its time", async () => {
  const term = await ledBy(lab.etcd);
  const { txn } = lab.etcd;
  vi.spyOn(lab.etcd, "txn").mockImplementation(async (...args) => {
    await lab.etcd.put(term.key, "by somebody else");
    return txn.apply(lab.etcd, args);
  });
  let error: unknown;
  term.proclaim("mine", { timeoutMs: 300 }).catch((thrown) => {
    error = thrown;
  });
  expect(await until(() => error)).toMatchObject({ code: "ETCD_TIMEOUT", retryable: true });
});

test("the time of a proclamation is its own, also where it is longer than that of the client's calls", async () => {
  const { proxy, client } = await proxied();
  const term = await ledBy(client);
  proxy.blackHole();
  const end = new AbortController();
  const proclaimed = outcomeOf(term.proclaim("patient", { signal: end.signal, timeoutMs: 60_000 }));
  expect(await etcdErrorOf(client.get(term.key))).toMatchObject({ code: "ETCD_TIMEOUT" });
  const reason = new Error("given up");
  end.abort(reason);
  expect((await proclaimed).error).toBe(reason);
  await proxy.heal();
});

test("a guarded write whose answer is lost says that its outcome is unknown", async () => {
  const name = lab.newName();
  const { proxy, client } = await proxied();
  const lock = await lab.mutex(name, { client }).acquire();
  proxy.blackHole("toClient");
  expect(await etcdErrorOf(lock.txn([putOp(`${name}-row`, "1")]))).toMatchObject({
    code: "ETCD_TIMEOUT",
    outcomeUnknown: true,
  });
  await proxy.heal();
  expect((await lab.etcd.get(`${name}-row`))?.text).toBe("1");
  await lock.release();
});

test("a term that is ending writes no more, although its key is still there", async () => {
  const name = lab.newName();
  const election = lab.election(name, "a");
  let refused: unknown;
  await election.lead(async (term) => {
    term.resign();
    refused = (await outcomeOf(term.txn([putOp(`${name}-row`, "late")]))).error;
    expect(await lab.line(name)).toEqual([term.key]);
  });
  expect(refused).toMatchObject({ code: "ETCD_FENCED_OUT" });
  expect(await lab.etcd.get(`${name}-row`)).toBeUndefined();
});

test("release() is bounded when etcd is away, and the key goes when it is back", async () => {
  const name = lab.newName();
  const { proxy, client } = await proxied();
  const lock = await lab.mutex(name, { client, ttlSeconds: 60 }).acquire();
  proxy.blackHole();
  const { error, tookMs } = await outcomeOf(lock.release());
  expect(error).toBeUndefined();
  expect(tookMs).toBeLessThan(8_000);
  expect(await lab.line(name)).toEqual([lock.key]);
  await proxy.heal();
  await until(async () => (await lab.line(name)).length === 0, { timeoutMs: 20_000 });
});
