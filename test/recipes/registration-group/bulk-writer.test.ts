import { expect, test } from "vitest";
import type { LeaseLine } from "../../../recipes/leases/index.ts";
import type { BulkItem } from "../../../recipes/registration/bulk-item.ts";
import { BulkWriter } from "../../../recipes/registration/bulk-writer.ts";
import {
  type EtcdClient,
  leaseId,
  PermissionDeniedError,
  type TxnOptions,
  UnavailableError,
} from "../../../src/index.ts";
import { FakeClock, settled } from "../../support/fake-clock.ts";

// Etcd before 3.5.28 checks no permission in nested txns, so this one is played here.

/** An etcd that denies each txn with one of these keys in it, and the keys that wait for it. */
function setUp(count: number) {
  const clock = new FakeClock();
  const denied = new Set<string>();
  const done = new Set<string>();
  const failed = new Set<string>();
  const link = { isCut: false };
  const warnings: Error[] = [];
  let requests = 0;
  const etcd = {
    async txn({ success = [] }: TxnOptions) {
      requests++;
      if (link.isCut) throw new UnavailableError("no endpoint answers", { retryable: true });
      const keys = success.map((op) =>
        op.type === "txn" && op.success[0]?.type === "delete" ? text(op.success[0]) : "",
      );
      if (keys.some((key) => denied.has(key))) throw new PermissionDeniedError("etcdserver: permission denied");
      const responses = keys.map(() => ({ type: "txn" as const, succeeded: true, responses: [] }));
      return { succeeded: true, revision: 1, responses };
    },
  };
  const writer = new BulkWriter({
    etcd: etcd as unknown as EtcdClient,
    leases: {} as LeaseLine,
    runtime: { clock, random: () => 0.5 },
    onLease() {},
    onWarning: (error) => void warnings.push(error),
    onWorked() {},
    onFailed(error) {
      throw error;
    },
  });
  const unsendable = new Set<string>();
  const items = Array.from({ length: count }, (_, index): BulkItem => {
    const key = `m${index}`;
    return {
      key,
      needsLease: false,
      next: () => {
        if (unsendable.has(key)) return { type: "put", over: undefined, text: "\ud83d", lease: leaseId("1") };
        return done.has(key) ? undefined : { type: "delete", over: { modRevision: 1, lease: undefined } };
      },
      done: () => void done.add(key),
      found() {},
      failed: () => void failed.add(key),
      refused: () => {
        failed.add(key);
        return true;
      },
    };
  });
  const keys = items.map(({ key }) => key);
  return {
    ...{ clock, writer, denied, done, failed, keys, unsendable, link, warnings },
    async ask(): Promise<number> {
      const before = requests;
      for (const item of items) writer.add(item);
      await settled();
      return requests - before;
    },
    requests: () => requests,
  };
}

function text(op: { readonly range: { readonly start: Uint8Array } }): string {
  return Buffer.from(op.range.start).toString();
}

/** As after etcd has answered before. */
async function working(count: number) {
  const set = setUp(count);
  await set.ask();
  expect(set.done.size).toBe(count);
  set.done.clear();
  return set;
}

test("where all keys are denied a few are sent alone, all are reported, and all come back", async () => {
  const { clock, denied, done, failed, keys, ask, requests } = await working(1_000);
  for (const key of keys) denied.add(key);
  // Each alone they are 2000.
  expect(await ask()).toBeLessThan(200);
  expect(failed.size).toBe(1_000);
  const before = requests();
  await clock.pass(60_000);
  // Some ten times more.
  expect(requests() - before).toBeLessThan(2_000);
  denied.clear();
  await clock.pass(60_000);
  expect(done.size).toBe(1_000);
});

test("where a part of the keys is denied, wherever they stand, the others are written", async () => {
  const { clock, denied, done, keys, ask } = await working(300);
  for (const [index, key] of keys.entries()) if (index % 2 === 0 || index > 200) denied.add(key);
  await ask();
  for (let passed = 0; passed < 100; passed++) await clock.pass(30_000);
  expect(keys.filter((key) => !done.has(key))).toEqual(keys.filter((key) => denied.has(key)));
  denied.clear();
  await clock.pass(60_000);
  expect(done.size).toBe(300);
});

test("a step that can be no operation fails its own key alone, which comes back when it can", async () => {
  const { clock, done, failed, keys, ask, unsendable } = setUp(20);
  for (const key of keys.slice(0, 3)) unsendable.add(key);
  await ask();
  expect([...failed]).toEqual(keys.slice(0, 3));
  expect([...done]).toEqual(keys.slice(3));
  unsendable.clear();
  await clock.pass(60_000);
  expect(done.size).toBe(20);
});

test("many that leave while etcd fails at once cut a pause short once, and once more after it has answered", async () => {
  const { clock, writer, done, warnings, ask, requests, link } = await working(100);
  for (let streak = 0; streak < 2; streak++) {
    link.isCut = true;
    done.clear();
    expect(await ask()).toBe(1);
    const [before, warned] = [requests(), warnings.length];
    for (let leaving = 0; leaving < 20; leaving++) {
      writer.hurry();
      await settled();
    }
    expect([requests() - before, warnings.length - warned]).toEqual([1, 1]);
    link.isCut = false;
    await clock.pass(60_000);
    expect(done.size).toBe(100);
    // That there is no pause leaves the next one to be cut short.
    writer.hurry();
  }
});
