import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { ServiceRegisterOptions } from "../../../recipes/index.ts";
import { EtcdClient, EtcdTimeoutError, type Lease, type TxnAnswer, type TxnOptions } from "../../../src/index.ts";
import { historyOf, revisionOf } from "../../support/etcd-view.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

/**
 * A real client whose leases can be given up unknown to etcd, as when it is out of reach, and whose writes can
 * be held back: they time out, and land when the test sends them.
 */
class UnreliableClient extends EtcdClient {
  readonly granted: Lease[] = [];
  readonly held: TxnOptions[] = [];
  holds = false;
  #lost = new AbortController();

  override async grantLease(...args: Parameters<EtcdClient["grantLease"]>): Promise<Lease> {
    const lease = await super.grantLease(...args);
    this.granted.push(lease);
    this.#lost = new AbortController();
    return Object.create(lease, {
      id: { value: lease.id },
      ttlSeconds: { value: lease.ttlSeconds },
      signal: { value: this.#lost.signal },
      abandon: { value: () => {} },
      revoke: { value: () => lease.revoke() },
    });
  }

  override async txn(request: TxnOptions, options?: Parameters<EtcdClient["txn"]>[1]): Promise<TxnAnswer> {
    if (!this.holds || !request.compare?.length) return super.txn(request, options);
    this.held.push(request);
    throw new EtcdTimeoutError("no answer", { retryable: true, outcomeUnknown: true });
  }

  loseLease(): void {
    this.#lost.abort(new Error("lost"));
  }

  /** What `work` writes is held back. */
  async holdBack(work: () => unknown): Promise<void> {
    const before = this.held.length;
    this.holds = true;
    work();
    await until(() => this.held.length > before);
  }

  /** All that was held back reaches etcd, now. @returns how often something was done */
  async land(): Promise<number> {
    let done = 0;
    for (const request of this.held.splice(0)) {
      const landed = await super.txn(request).catch((error: { code: string }) => error.code);
      if (typeof landed === "string") expect(landed).toBe("ETCD_LEASE_NOT_FOUND");
      else if (landed.succeeded) done++;
    }
    return done;
  }
}

async function registered(options: ServiceRegisterOptions = {}) {
  const client = new UnreliableClient({ endpoints: lab.cluster.endpoints });
  lab.also(() => client.close());
  const register = lab.register(`${lab.newPrefix()}m1`, "a:1", 60, { client, ...options });
  await register.ready;
  const { key } = register;
  const kv = () => lab.etcd.get(key);
  return { client, register, key, kv, untilText: (text: string) => until(async () => (await kv())?.text === text) };
}

test("a key that stands on an earlier lease is its own: it moves to the new one, and goes with both", async () => {
  const { client, register, key, kv, untilText } = await registered();
  client.loseLease();
  await until(async () => (await kv())?.lease === client.granted[1]?.id);
  // A late write of the past: the same object, the lease that it gave up.
  await lab.etcd.put(key, "late", { lease: client.granted[0] as Lease });
  await untilText("a:1");
  expect(await kv()).toMatchObject({ lease: client.granted[1]?.id });
  await lab.etcd.put(key, "late", { lease: client.granted[0] as Lease });
  await register.close();
  expect(await kv()).toBeUndefined();
  for (const lease of client.granted) {
    await expect(lease.timeToLive()).rejects.toMatchObject({ code: "ETCD_LEASE_NOT_FOUND" });
  }
});

test("another owner's key is neither taken, nor marked as draining, nor deleted", async () => {
  const { register, key, kv } = await registered({ format: "endpoint" });
  await lab.etcd.put(key, "theirs:1");
  await until(() => register.status === "passive");
  void register.update({ address: "b:1" });
  await register.close({ drainMs: 1 });
  expect(await kv()).toMatchObject({ text: "theirs:1" });
});

test("what is there already is not put again, and to drain never brings a missing key back", async () => {
  const { client, register, key, kv } = await registered({ format: "endpoint" });
  await register.update({ address: "a:1" });
  expect(await kv()).toMatchObject({ version: 1 });
  await client.holdBack(() => lab.etcd.delete(key));
  const deletedAt = await revisionOf(lab.etcd);
  const closed = register.close({ drainMs: 10 });
  client.holds = false;
  await closed;
  expect(await historyOf(lab.etcd, key, deletedAt + 1)).toEqual([]);
});

test("a lease that is lost while its key is put does not count: the key is put again on a new one", async () => {
  const { client, register, kv } = await registered();
  const updated = register.update({ address: "b:1" });
  client.loseLease();
  await updated;
  await until(async () => (await kv())?.lease === client.granted[1]?.id);
  await until(() => register.status === "registered");
  expect(await kv()).toMatchObject({ text: "b:1" });
});

test("a put that lands late lands over nothing newer: neither its own value nor another owner's, nor a deletion", async () => {
  const { client, register, key, kv, untilText } = await registered();
  for (const round of [1, 2]) {
    await client.holdBack(() => void register.update({ address: `late:${round}` }));
    client.holds = false;
    await register.update({ address: `b:${round}` });
    expect(await client.land()).toBe(0);
    expect(await kv()).toMatchObject({ text: `b:${round}` });
  }
  await client.holdBack(() => void register.update({ address: "late:3" }));
  await lab.etcd.put(key, "theirs:1");
  expect(await client.land()).toBe(0);
  client.holds = false;
  await untilText("theirs:1");
  await lab.etcd.delete(key);
  await untilText("late:3");
  await client.holdBack(() => void register.update({ address: "late:4" }));
  await register.close();
  expect(await client.land()).toBe(0);
  expect(await kv()).toBeUndefined();
});

test("a deletion that lands late deletes nothing newer", async () => {
  let healthy = true;
  const { client, register, untilText, kv } = await registered({ health: () => healthy, healthEverySeconds: 0.1 });
  await client.holdBack(() => {
    healthy = false;
  });
  healthy = true;
  client.holds = false;
  await until(() => register.status === "registered");
  await register.update({ address: "b:1" });
  await untilText("b:1");
  expect(await client.land()).toBe(0);
  expect(await kv()).toMatchObject({ text: "b:1" });
});

test("a put that lands after the leases were revoked lands nowhere", async () => {
  const { client, register, key, kv } = await registered();
  await client.holdBack(() => lab.etcd.delete(key));
  await register.close();
  expect(client.held.length).toBeGreaterThan(0);
  expect(await client.land()).toBe(0);
  expect(await kv()).toBeUndefined();
});
