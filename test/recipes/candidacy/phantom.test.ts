import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { LeaderElection, Term } from "../../../recipes/index.ts";
import { type LeaseId, prefix } from "../../../src/index.ts";
import { onAbort } from "../../../src/internal/index.ts";
import { revokeLease } from "../../support/gateway/index.ts";
import { until } from "../../support/until.ts";
import { ElectionLab, recordElection } from "./election-lab.ts";

// HARDSHIPS 6: a candidate that hears that it leads has a key in etcd, at that moment and at the head of the line.

let lab: ElectionLab;

beforeAll(async () => {
  lab = await ElectionLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const aborted = ({ signal }: Term) => new Promise<void>((resolve) => void onAbort(signal, resolve));
const leaseIn = (key: string) => key.slice(key.lastIndexOf("/") + 1) as LeaseId;

test.each(["its lease is revoked", "its key is deleted"])(
  "a waiting candidate leads with a key of its own or not at all: %s, then the leader resigns",
  async (how) => {
    const name = lab.newName();
    const leader = lab.election(name, "leader");
    void leader.lead(aborted);
    await until(() => leader.term);
    const waiter = lab.election(name, "waiter");
    const recorder = recordElection(waiter);
    const tokensInEtcd: (number | undefined)[] = [];
    void waiter
      .lead(async (term) => {
        tokensInEtcd.push((await lab.etcd.get(term.key))?.createRevision);
        await aborted(term);
      })
      .catch(() => {});
    const old = await until(async () => (await lab.line(name))[1]);
    const last = lab.election(name, "last");
    void last.lead(aborted).catch(() => {});
    await until(async () => (await lab.line(name)).length === 3);

    if (how === "its lease is revoked") await revokeLease(lab.endpoint, leaseIn(old));
    else await lab.etcd.delete(old);
    // At once: the waiter may not have heard of it yet.
    await leader.resign();

    // The place in line went with the key: the one behind leads, and the waiter comes after it.
    await until(() => last.term);
    expect(recorder.of("elected")).toEqual([]);
    await until(async () => (await lab.line(name)).length === 2);
    await last.resign();
    const term = await until(() => waiter.term);
    await until(() => tokensInEtcd.length === 1);
    expect(tokensInEtcd).toEqual([term.token]);
    expect(term.key).not.toBe(old);
    expect(recorder.of<Error>("warning").length).toBeGreaterThan(0);
  },
);

test("of three, the one in the middle goes: the last one still waits for the first", async () => {
  const name = lab.newName();
  const elections: LeaderElection[] = [];
  for (const candidate of ["a", "b", "c"]) {
    const election = lab.election(name, candidate);
    elections.push(election);
    void election.lead(aborted).catch(() => {});
    await until(async () => (await lab.line(name)).length === elections.length);
  }
  const [a, b, c] = elections as [LeaderElection, LeaderElection, LeaderElection];
  await until(() => a.term);
  await b.close();
  const seen = recordElection(c);
  await until(async () => (await lab.line(name)).length === 2);
  // A round trip of the one that stays: it has looked again by then, or will with the next event.
  await a.proclaim("still a");
  expect(c.term).toBeUndefined();
  await a.resign();
  await until(() => c.term);
  expect(seen.names).toEqual(["elected"]);
});

test("a waiting lock whose key is deleted lines up anew and is never given without one", async () => {
  const name = lab.newName();
  const held = await lab.mutex(name).acquire();
  const waiting = lab.mutex(name).acquire();
  const old = await until(async () => (await lab.line(name))[1]);
  await lab.etcd.delete(old);
  await held.release();
  const lock = await waiting;
  expect((await lab.etcd.get(lock.key))?.createRevision).toBe(lock.token);
  expect(lock.key).not.toBe(old);
});

test("a wiped etcd ends the term, and the candidate leads again in the new one", async () => {
  const wiped = await ElectionLab.start();
  await using _ = wiped;
  const name = wiped.newName();
  const election = wiped.election(name, "a", { ttlSeconds: 5 });
  const recorder = recordElection(election);
  void election.lead(aborted).catch(() => {});
  const first = await until(() => election.term);
  await wiped.cluster.wipe();
  const second = await until(() => (election.term === first ? undefined : election.term), { timeoutMs: 30_000 });
  expect(first.signal.aborted).toBe(true);
  expect((await wiped.etcd.get(second.key))?.createRevision).toBe(second.token);
  expect((await wiped.etcd.range(prefix(`${name}/`))).count).toBe(1);
  expect(recorder.names.filter((event) => event !== "warning")).toEqual(["elected", "lost", "elected"]);
});
