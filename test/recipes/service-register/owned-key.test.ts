import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { OwnLeases } from "../../../recipes/leases/index.ts";
import { OwnedKey } from "../../../recipes/service-register/owned-key.ts";
import { type EtcdClient, EtcdTimeoutError, type Lease, type TxnOptions } from "../../../src/index.ts";
import { RegistryLab } from "../../support/registry-lab.ts";

const never = new AbortController().signal;

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

/**
 * A key whose leases can be given up without etcd being told, as when it is out of reach, and whose writes can be held
 * back: they time out, and land when the test sends them.
 */
function ownedKey() {
  const leases: Lease[] = [];
  let lost = new AbortController();
  const grantLease: EtcdClient["grantLease"] = async (ttlSeconds, options) => {
    const lease = await lab.etcd.grantLease(ttlSeconds, options);
    leases.push(lease);
    lost = new AbortController();
    return Object.create(lease, {
      id: { value: lease.id },
      signal: { value: lost.signal },
      abandon: { value: () => {} },
      revoke: { value: () => lease.revoke() },
    });
  };
  const held: TxnOptions[] = [];
  let holding = false;
  const txn: EtcdClient["txn"] = async (request, options) => {
    if (!holding) return lab.etcd.txn(request, options);
    held.push(request);
    throw new EtcdTimeoutError("no answer", { retryable: true, outcomeUnknown: true });
  };
  const etcd = { get: lab.etcd.get.bind(lab.etcd), txn, grantLease } as EtcdClient;
  const owned = new OwnedKey(etcd, `${lab.newPrefix()}m1`, new OwnLeases(etcd, 60));
  return {
    owned,
    leases,
    loseLease: () => lost.abort(new Error("lost")),
    /** What `write` sends is held back. */
    async holdBack(write: () => Promise<unknown>): Promise<void> {
      holding = true;
      await expect(write()).rejects.toMatchObject({ outcomeUnknown: true });
      holding = false;
    },
    /** All that was held back reaches etcd. */
    async land(): Promise<void> {
      for (const request of held.splice(0)) await lab.etcd.txn(request);
    },
  };
}

function claim(owned: OwnedKey, text: string, mayTake = false) {
  return owned.claim(
    text,
    () => mayTake,
    () => {},
    never,
  );
}

test("a key that stands on an earlier lease is its own: it moves to the new one, and is deleted as such", async () => {
  const { owned, leases, loseLease } = ownedKey();
  await claim(owned, "a");
  loseLease();
  expect(await claim(owned, "b")).toMatchObject({ outcome: "placed" });
  expect(await lab.etcd.get(owned.key)).toMatchObject({ text: "b", lease: leases[1]?.id });
  // A late write of the past: the same object, the lease that it gave up.
  await lab.etcd.put(owned.key, "late", { lease: leases[0] as Lease });
  expect(owned.isOwn((await lab.etcd.get(owned.key)) as never)).toBe(true);
  await owned.withdraw(never);
  expect(await lab.etcd.get(owned.key)).toBeUndefined();
  await owned.leave(never);
  for (const lease of leases) await expect(lease.timeToLive()).rejects.toMatchObject({ code: "ETCD_LEASE_NOT_FOUND" });
});

test("somebody else's key is neither taken, rewritten nor withdrawn", async () => {
  const { owned } = ownedKey();
  await claim(owned, "a");
  await lab.etcd.put(owned.key, "theirs");
  expect(await claim(owned, "b")).toMatchObject({ outcome: "taken", by: { text: "theirs" } });
  await owned.rewrite("c", never);
  await owned.withdraw(never);
  expect(await lab.etcd.get(owned.key)).toMatchObject({ text: "theirs" });
  expect(await claim(owned, "b", true)).toMatchObject({ outcome: "placed" });
});

test("what is there already is not put again, and a rewrite never brings a missing key back", async () => {
  const { owned } = ownedKey();
  const first = await claim(owned, "a");
  expect(first).toMatchObject({ outcome: "placed", how: "made" });
  expect(await claim(owned, "a")).toEqual({ ...first, how: "found" });
  await owned.rewrite("b", never);
  expect(await lab.etcd.get(owned.key)).toMatchObject({ text: "b", version: 2 });
  await lab.etcd.delete(owned.key);
  await owned.rewrite("c", never);
  expect(await lab.etcd.get(owned.key)).toBeUndefined();
});

test("a lease that is lost while its key is put does not count: the key is put again on a new one", async () => {
  const { owned, leases, loseLease } = ownedKey();
  await claim(owned, "a");
  const claiming = owned.claim(
    "b",
    () => false,
    () => {},
    never,
  );
  loseLease();
  expect(await claiming).toMatchObject({ outcome: "placed" });
  expect(await lab.etcd.get(owned.key)).toMatchObject({ text: "b", lease: leases[1]?.id });
});

test("a put that lands late lands over nothing newer: neither our own value nor somebody else's, nor a deletion", async () => {
  const { owned, holdBack, land } = ownedKey();
  const text = async () => (await lab.etcd.get(owned.key))?.text;
  await holdBack(() => claim(owned, "late"));
  await claim(owned, "b");
  await land();
  expect(await text()).toBe("b");
  await holdBack(() => claim(owned, "late"));
  await holdBack(() => owned.rewrite("later", never));
  await claim(owned, "c");
  await land();
  expect(await text()).toBe("c");
  await holdBack(() => claim(owned, "late"));
  await owned.withdraw(never);
  await land();
  expect(await text()).toBeUndefined();
  await holdBack(() => claim(owned, "late"));
  await lab.etcd.put(owned.key, "theirs");
  await land();
  expect(await text()).toBe("theirs");
});

test("a deletion that lands late deletes nothing newer", async () => {
  const { owned, holdBack, land } = ownedKey();
  await claim(owned, "a");
  await holdBack(() => owned.withdraw(never));
  await claim(owned, "b");
  await land();
  expect(await lab.etcd.get(owned.key)).toMatchObject({ text: "b" });
});

test("a put that lands after the leases were revoked lands nowhere", async () => {
  const { owned, loseLease, holdBack, land } = ownedKey();
  await claim(owned, "a");
  await owned.withdraw(never);
  await holdBack(() => claim(owned, "late"));
  loseLease();
  await claim(owned, "b");
  await owned.leave(never);
  await expect(land()).rejects.toMatchObject({ code: "ETCD_LEASE_NOT_FOUND" });
  expect(await lab.etcd.get(owned.key)).toBeUndefined();
});
