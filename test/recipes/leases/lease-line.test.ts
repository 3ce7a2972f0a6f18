import { afterEach, expect, test } from "vitest";
import { LeaseLine } from "../../../recipes/leases/index.ts";
import { type EtcdClient, EtcdTimeoutError, type Lease, type LeaseId, LeaseLostError } from "../../../src/index.ts";
import { settled } from "../../support/fake-clock.ts";
import { outcomeOf } from "../../support/outcome.ts";

const never = new AbortController().signal;

/** Leases without an etcd. */
class FakeLeases {
  readonly granted: { lease: Lease; lost: AbortController; abandoned: boolean; revoked: boolean }[] = [];
  grants = 0;
  /** What a grant waits for, and how it ends. */
  gate: Promise<void> = Promise.resolve();

  readonly grantLease: EtcdClient["grantLease"] = async (ttlSeconds, { signal } = {}) => {
    this.grants++;
    await this.gate;
    signal?.throwIfAborted();
    const lost = new AbortController();
    const entry = { lost, abandoned: false, revoked: false } as (typeof this.granted)[number];
    entry.lease = {
      id: `${this.granted.length + 1}` as LeaseId,
      ttlSeconds,
      signal: lost.signal,
      abandon: (cause: unknown) => {
        entry.abandoned = true;
        lost.abort(new LeaseLostError("given up", { cause }));
      },
      revoke: async () => {
        entry.revoked = true;
        lost.abort(new LeaseLostError("revoked"));
      },
    } as unknown as Lease;
    this.granted.push(entry);
    return entry.lease;
  };
}

let fake = new FakeLeases();
afterEach(() => {
  fake = new FakeLeases();
});

test("all who need a lease at the same time wait for one grant, and later ones get the same", async () => {
  const line = new LeaseLine(fake, 5);
  const leases = await Promise.all(Array.from({ length: 100 }, () => line.living(never)));
  expect(new Set(leases).size).toBe(1);
  expect(await line.living(never)).toBe(leases[0]);
  expect(fake.grants).toBe(1);
  expect([line.has("1" as LeaseId), line.has("2" as LeaseId), line.has(undefined)]).toEqual([true, false, false]);
});

test("a waiter that gave up takes the grant from no other", async () => {
  const line = new LeaseLine(fake, 5);
  let open = () => {};
  fake.gate = new Promise((resolve) => {
    open = resolve;
  });
  const impatient = new AbortController();
  const left = outcomeOf(line.living(impatient.signal));
  const stays = line.living(never);
  impatient.abort("enough");
  expect((await left).error).toBe("enough");
  open();
  expect((await stays).id).toBe("1");
  expect(fake.grants).toBe(1);
});

test("who has a line alone ends its grant with its own signal, and a lease that comes all the same is given up", async () => {
  const line = new LeaseLine(fake, 5);
  let open = () => {};
  fake.gate = new Promise((resolve) => {
    open = resolve;
  });
  const ending = new AbortController();
  const ended = outcomeOf(line.grant(ending.signal));
  await settled();
  ending.abort("enough");
  open();
  expect((await ended).error).toBe("enough");
  expect(fake.granted).toEqual([]);

  const late = new AbortController();
  fake.gate = Promise.resolve();
  const given = outcomeOf(line.grant(late.signal));
  for (let turn = 0; turn < 100 && fake.granted.length === 0; turn++) await Promise.resolve();
  late.abort("enough");
  expect((await given).error).toBe("enough");
  expect(fake.granted.map(({ abandoned }) => abandoned)).toEqual([true]);
  expect(line.current).toBe(undefined);
  expect((await line.grant(never)).id).toBe("2");
  expect(line.current?.id).toBe("2");
});

test("a grant that fails fails for all who wait, and the next one asks anew", async () => {
  const line = new LeaseLine(fake, 5);
  fake.gate = Promise.reject(new EtcdTimeoutError("no answer"));
  const outcomes = await Promise.all([outcomeOf(line.living(never)), outcomeOf(line.living(never))]);
  expect(outcomes.map(({ error }) => (error as EtcdTimeoutError).code)).toEqual(["ETCD_TIMEOUT", "ETCD_TIMEOUT"]);
  fake.gate = Promise.resolve();
  expect((await line.living(never)).id).toBe("1");
  expect(fake.grants).toBe(2);
});

test("a lost lease makes way for another one, and its keys stay the owner's", async () => {
  const line = new LeaseLine(fake, 5);
  await line.living(never);
  fake.granted[0]?.lost.abort(new LeaseLostError("lost"));
  expect(line.current).toBeUndefined();
  const next = await line.living(never);
  expect(next.id).toBe("2");
  expect([line.has("1" as LeaseId), line.has("2" as LeaseId)]).toEqual([true, true]);
});

test("a lease that etcd no longer has is reported once; a late report of an earlier one harms none", async () => {
  const line = new LeaseLine(fake, 5);
  const first = await line.living(never);
  line.gone(first, new Error("not found"));
  const second = await line.living(never);
  line.gone(first, new Error("not found, once more"));
  expect(line.current).toBe(second);
  expect(fake.granted[1]?.abandoned).toBe(false);
});

test("all are revoked at the end, a grant that is on the way leaves none behind, and who comes meanwhile gets a new one", async () => {
  const line = new LeaseLine(fake, 5);
  line.gone(await line.living(never), undefined);
  await line.living(never);
  await line.revokeAll({});
  expect(fake.granted.map(({ revoked }) => revoked)).toEqual([true, true]);
  expect(line.has("1" as LeaseId)).toBe(false);
  let open = () => {};
  fake.gate = new Promise((resolve) => {
    open = resolve;
  });
  const waiting = outcomeOf(line.living(never));
  const ending = line.revokeAll({});
  const newcomer = line.living(never);
  open();
  expect((await waiting).error).toMatchObject({ code: "ETCD_CLOSED" });
  await ending;
  const lease = await newcomer;
  await settled();
  expect(line.current).toBe(lease);
  expect(fake.granted).toHaveLength(3);
});
