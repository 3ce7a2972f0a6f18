import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { LeaderElection, Term } from "../../../recipes/index.ts";
import type { LeaseId } from "../../../src/index.ts";
import { deferred, onAbort } from "../../../src/internal/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { leaseRemaining } from "../../support/gateway/index.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";
import { ElectionLab, recordElection } from "../candidacy/election-lab.ts";

let lab: ElectionLab;

beforeAll(async () => {
  lab = await ElectionLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const leaseIn = (key: string) => key.slice(key.lastIndexOf("/") + 1) as LeaseId;

/** Work that lasts as long as its term. */
const aborted = ({ signal }: Term) => new Promise<void>((resolve) => void onAbort(signal, resolve));

test("lead() resolves with what the work returns, after it resigned", async () => {
  const name = lab.newName();
  const election = lab.election(name, "a");
  const recorder = recordElection(election);
  let inLine: string[] = [];
  const value = await election.lead(async (term) => {
    inLine = await lab.line(name);
    expect(inLine).toEqual([term.key]);
    expect(election.term).toBe(term);
    expect(await election.leader()).toEqual({
      candidate: "a",
      key: term.key,
      token: term.token,
      revision: term.token,
    });
    return 42;
  });
  expect(value).toBe(42);
  expect(inLine[0]).toMatch(new RegExp(`^${name}/[1-9a-f][0-9a-f]*$`));
  expect(await lab.line(name)).toEqual([]);
  expect(recorder.names).toEqual(["elected", "resigned"]);
  expect(election.term).toBeUndefined();
  expect(recorder.of<Term>("elected")[0]?.signal.reason).toMatchObject({ code: "ETCD_FENCED_OUT" });
});

test("lead() rejects with what the work throws, after it resigned, and can be called again", async () => {
  const name = lab.newName();
  const election = lab.election(name, "a");
  const thrown = new Error("no more");
  await expect(
    election.lead(() => {
      throw thrown;
    }),
  ).rejects.toBe(thrown);
  expect(await lab.line(name)).toEqual([]);
  expect(await election.lead(() => "again")).toBe("again");
});

test("a second lead() on a running election is refused, and does not disturb the first", async () => {
  const election = lab.election(lab.newName(), "a");
  const leading = election.lead(aborted);
  await expect(election.lead(aborted)).rejects.toMatchObject({
    code: "ETCD_CONFLICT",
    message: `this candidate of ${election.name} campaigns or leads already`,
  });
  await until(() => election.term);
  await expect(election.lead(aborted)).rejects.toMatchObject({ code: "ETCD_CONFLICT" });
  expect(election.term?.signal.aborted).toBe(false);
  await election.resign();
  await leading;
});

test("the first to register leads, the others follow in the order of their arrival", async () => {
  const name = lab.newName();
  const order: string[] = [];
  const elections: LeaderElection[] = [];
  const leading: Promise<void>[] = [];
  for (const candidate of ["a", "b", "c"]) {
    const election = lab.election(name, candidate);
    elections.push(election);
    leading.push(
      election.lead(async (term) => {
        order.push(candidate);
        await aborted(term);
      }),
    );
    await until(async () => (await lab.line(name)).length === elections.length);
  }
  await until(() => order.length === 1);
  expect((await elections[2]?.candidates())?.map(({ candidate }) => candidate)).toEqual(["a", "b", "c"]);
  for (const [index, election] of elections.entries()) {
    await until(() => order.length === index + 1);
    await election.resign();
    await leading[index];
  }
  expect(order).toEqual(["a", "b", "c"]);
  expect(await elections[0]?.leader()).toBeUndefined();
});

test("an aborted signal rejects with its reason, in each state, and leaves no key behind", async () => {
  const name = lab.newName();
  const reason = new Error("enough");
  const at = lab.election(name, "a");
  await expect(at.lead(aborted, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect(await lab.line(name)).toEqual([]);

  const holder = lab.election(name, "holder");
  const holding = holder.lead(aborted);
  await until(() => holder.term);
  const waiting = new AbortController();
  const waited = outcomeOf(at.lead(aborted, { signal: waiting.signal }));
  await until(async () => (await lab.line(name)).length === 2);
  waiting.abort(reason);
  expect((await waited).error).toBe(reason);
  expect(await lab.line(name)).toEqual([holder.term?.key]);
  await holder.resign();
  await holding;

  const leading = new AbortController();
  const done = deferred<string>();
  let term: Term | undefined;
  const led = outcomeOf(
    at.lead(
      (elected) => {
        term = elected;
        return done.promise;
      },
      { signal: leading.signal },
    ),
  );
  let settled = false;
  void led.then(() => {
    settled = true;
  });
  await until(() => term);
  leading.abort(reason);
  expect(term?.signal.reason).toBe(reason);
  // The key stays while the work ends, however long etcd has had to delete it: no other candidate leads meanwhile.
  for (let writes = 0; writes < 20; writes++) await lab.etcd.put(`${name}-another`, "");
  expect(await lab.line(name)).toEqual([term?.key]);
  expect(settled).toBe(false);
  done.resolve("in vain");
  expect((await led).error).toBe(reason);
  expect(await lab.line(name)).toEqual([]);
});

test("a lost term is reported, and the next campaign waits for the work, whatever comes of it", async () => {
  const name = lab.newName();
  const election = lab.election(name, "a", { ttlSeconds: 10 });
  const recorder = recordElection(election);
  const terms: Term[] = [];
  const ends = [deferred<string>(), deferred<string>(), deferred<string>()];
  const leading = election.lead((term) => {
    terms.push(term);
    return ends[terms.length - 1]?.promise;
  });
  await until(() => terms.length === 1);
  await lab.etcd.delete(terms[0]?.key as string);
  await until(() => recorder.names.includes("lost"));
  expect(terms[0]?.signal.aborted).toBe(true);
  expect(recorder.of<Error>("lost")[0]).toMatchObject({ code: "ETCD_LEASE_LOST", cause: { code: "ETCD_FENCED_OUT" } });
  // Nothing of this candidate is in line as long as its work goes on.
  await until(() => recorder.names.includes("overdue"));
  expect(await lab.line(name)).toEqual([]);
  expect(terms).toHaveLength(1);
  ends[0]?.resolve("the value of a lost term");

  await until(() => terms.length === 2);
  expect(terms[1]?.token).toBeGreaterThan(terms[0]?.token as number);
  await lab.etcd.delete(terms[1]?.key as string);
  await until(() => terms[1]?.signal.aborted);
  ends[1]?.reject(new Error("thrown in a lost term"));

  await until(() => terms.length === 3);
  ends[2]?.resolve("the last");
  expect(await leading).toBe("the last");
  expect(recorder.names.filter((name) => name !== "warning")).toEqual([
    "elected",
    "lost",
    "overdue",
    "elected",
    "lost",
    "elected",
    "resigned",
  ]);
});

test("work that ignores its signal is reported at the end of its lease, then the next one leads, and the terms do not overlap", async () => {
  const name = lab.newName();
  const stubborn = lab.election(name, "stubborn", { ttlSeconds: 4, renewEverySeconds: 0.3 });
  const recorder = recordElection(stubborn);
  const done = deferred<string>();
  let elections = 0;
  const leading = stubborn.lead(() => {
    elections++;
    return done.promise;
  });
  const term = await until(() => stubborn.term);
  const next = lab.election(name, "next", { ttlSeconds: 2 });
  let nextLeads = false;
  const following = next.lead(async (its) => {
    nextLeads = true;
    await aborted(its);
  });
  await until(async () => (await lab.line(name)).length === 2);

  const began = performance.now();
  term.resign();
  expect(term.signal.aborted).toBe(true);
  // No process renews it any more: it goes by itself, should this process not come to it.
  await until(async () => (await leaseRemaining(lab.endpoint, leaseIn(term.key))) <= 1);
  expect(await lab.line(name)).toHaveLength(2);
  await until(() => recorder.names.includes("overdue"));
  expect(recorder.of<Term>("overdue")).toEqual([term]);
  await until(() => nextLeads);
  expect(performance.now() - began).toBeLessThan(9_000);
  await expect(stubborn.lead(aborted)).rejects.toMatchObject({ code: "ETCD_CONFLICT" });
  done.resolve("late");
  expect(await leading).toBe("late");
  expect(elections).toBe(1);
  expect(recorder.names).toEqual(["elected", "overdue", "resigned"]);
  await next.resign();
  await following;
});

test("work that ends in time hands over at once, not at the end of its lease", async () => {
  const name = lab.newName();
  const election = lab.election(name, "a", { ttlSeconds: 60 });
  const leading = election.lead(aborted);
  await until(() => election.term);
  const { tookMs } = await outcomeOf(election.resign());
  expect(tookMs).toBeLessThan(5_000);
  expect(await lab.line(name)).toEqual([]);
  await leading;
});

test("resign() without a term ends the campaign: no election follows it", async () => {
  const name = lab.newName();
  const holder = lab.election(name, "holder");
  const holding = holder.lead(aborted);
  await until(() => holder.term);
  const waiter = lab.election(name, "waiter");
  const recorder = recordElection(waiter);
  const waited = outcomeOf(waiter.lead(aborted));
  await until(async () => (await lab.line(name)).length === 2);
  await waiter.resign();
  expect(await lab.line(name)).toEqual([holder.term?.key]);
  expect((await waited).error).toMatchObject({
    code: "ETCD_FENCED_OUT",
    message: "resigned before it was elected",
  });
  await holder.resign();
  await holding;
  expect(recorder.names).toEqual([]);
  // Without lead() it is nothing at all.
  await waiter.resign();
});

test("resign() in a listener of elected keeps the work from starting", async () => {
  const election = lab.election(lab.newName(), "a");
  election.on("elected", (term) => term.resign());
  let worked = false;
  await expect(
    election.lead(() => {
      worked = true;
    }),
  ).rejects.toMatchObject({ code: "ETCD_FENCED_OUT" });
  expect(worked).toBe(false);
});

test("close() ends a campaign and a term, and later calls reject", async () => {
  const name = lab.newName();
  const leader = lab.election(name, "leader");
  const recorder = recordElection(leader);
  const waiter = lab.election(name, "waiter");
  const led = outcomeOf(leader.lead(aborted));
  await until(() => leader.term);
  const waited = outcomeOf(waiter.lead(aborted));
  await until(async () => (await lab.line(name)).length === 2);
  await waiter.close();
  expect(await lab.line(name)).toEqual([leader.term?.key]);
  expect((await waited).error).toMatchObject({ code: "ETCD_CLOSED", message: `the election ${name} was closed` });
  await Promise.all([leader.close(), leader.close()]);
  expect(await lab.line(name)).toEqual([]);
  expect((await led).error).toMatchObject({ code: "ETCD_CLOSED" });
  expect(recorder.names).toEqual(["elected", "resigned"]);
  await expect(leader.lead(aborted)).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  expect(() => leader.observe()).toThrow(`the election ${name} was closed`);
});

test("a client that is closed ends lead() as failed", async () => {
  const name = lab.newName();
  const client = lab.client();
  const election = lab.election(name, "a", { client });
  const recorder = recordElection(election);
  const led = outcomeOf(election.lead(aborted));
  await until(() => election.term);
  await client.close();
  expect((await led).error).toMatchObject({ code: "ETCD_CLOSED" });
  expect(recorder.names.filter((name) => name !== "warning")).toEqual(["elected", "lost", "failed"]);
  expect(await lab.line(name)).toEqual([]);
});

test("lead() on an etcd that is away waits for it, and says why", async () => {
  const election = lab.election("/away", "a", { client: { endpoints: "http://127.0.0.1:9", requestTimeoutMs: 300 } });
  const recorder = recordElection(election);
  const stop = new AbortController();
  const led = outcomeOf(election.lead(aborted, { signal: stop.signal }));
  await until(() => recorder.names.includes("warning"));
  const reason = new Error("stop");
  stop.abort(reason);
  expect((await led).error).toBe(reason);
  await election.close();
});

test("close() is bounded when etcd does not answer, in a term and in a campaign, and no key stays when it does again", async () => {
  const name = lab.newName();
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const client = lab.client({ endpoints: proxy.endpoint });
  const elections = ["leader", "waiter"].map((candidate) => lab.election(name, candidate, { client }));
  const led = elections.map((election) => outcomeOf(election.lead(aborted)));
  await until(async () => (await lab.line(name)).length === 2);
  proxy.blackHole();
  const { tookMs } = await outcomeOf(Promise.all(elections.map((election) => election.close())));
  expect(tookMs).toBeLessThan(8_000);
  for (const { error } of await Promise.all(led)) expect(error).toMatchObject({ code: "ETCD_CLOSED" });
  await proxy.heal();
  await until(async () => (await lab.line(name)).length === 0, { timeoutMs: 20_000 });
});

test("a lead() that is not awaited does not end the process when it is resigned or closed", async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown) => unhandled.push(reason);
  process.on("unhandledRejection", onUnhandled);
  try {
    const name = lab.newName();
    const first = lab.election(name, "first");
    const elected = new Promise((resolve) => first.once("elected", resolve));
    void first.lead((term) => new Promise((resolve) => term.signal.addEventListener("abort", resolve)));
    await elected;
    const waiting = lab.election(name, "waiting");
    // One that is refused at once begins nothing.
    await expect(waiting.lead(() => {}, { signal: AbortSignal.abort(new Error("before")) })).rejects.toThrow("before");
    void waiting.lead(() => {});
    await until(async () => (await lab.line(name)).length === 2);
    await waiting.resign();
    void waiting.lead(() => {});
    await until(async () => (await lab.line(name)).length === 2);
    await Promise.all([waiting.close(), first.close()]);
    // Node reports them when the microtasks are done.
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  } finally {
    process.off("unhandledRejection", onUnhandled);
  }
});
