import { afterAll, beforeAll, expect, test } from "vitest";
import {
  EtcdClient,
  type InvalidOptionError,
  type LeaseId,
  prefix,
  type RangeOp,
  type RangeResult,
  rangeOp,
} from "../../../src/index.ts";
import { type BorrowedEtcd, borrowEtcd } from "../../support/borrow-etcd.ts";

let borrowed: BorrowedEtcd;
let etcd: EtcdClient;
/** The createRevision of each key. */
const made = new Map<string, number>();

beforeAll(async () => {
  borrowed = await borrowEtcd();
  etcd = new EtcdClient({ endpoints: borrowed.endpoints });
  for (const key of ["b", "c", "a"]) made.set(key, (await etcd.put(borrowed.prefix + key, `was ${key}`)).revision);
  await etcd.put(`${borrowed.prefix}b`, "again");
});
afterAll(async () => {
  await etcd.close();
  await borrowed[Symbol.asyncDispose]();
});

async function namesOf(options: Omit<RangeOp, "type" | "range">): Promise<string> {
  const { responses } = await etcd.txn({ success: [rangeOp(prefix(borrowed.prefix), options)] });
  return (responses[0] as RangeResult).kvs.map(({ key }) => key.slice(borrowed.prefix.length)).join("");
}

test("a range comes in the order that is asked for, and limit takes the first of that order", async () => {
  expect(await namesOf({})).toBe("abc");
  expect(await namesOf({ sort: { target: "key", order: "descend" } })).toBe("cba");
  expect(await namesOf({ sort: { target: "createRevision", order: "ascend" } })).toBe("bca");
  expect(await namesOf({ sort: { target: "createRevision", order: "descend" }, limit: 1 })).toBe("a");
  expect(await namesOf({ sort: { target: "modRevision", order: "descend" } })).toBe("bac");
  expect(await namesOf({ sort: { target: "version", order: "descend" }, limit: 1 })).toBe("b");
  expect(await namesOf({ sort: { target: "value", order: "ascend" } })).toBe("bac");
});

test("keys that were made after a revision are left out, whenever they were written last", async () => {
  const createdC = made.get("c") as number;
  expect(await namesOf({ maxCreateRevision: createdC })).toBe("bc");
  expect(await namesOf({ maxCreateRevision: createdC - 1 })).toBe("b");
  expect(
    await namesOf({ maxCreateRevision: createdC, sort: { target: "createRevision", order: "descend" }, limit: 1 }),
  ).toBe("c");
});

test("range() sorts what it reads as etcd sorts a txn's range", async () => {
  const within = prefix(borrowed.prefix);
  for (const target of ["key", "version", "createRevision", "modRevision", "value"] as const) {
    for (const order of ["ascend", "descend"] as const) {
      const sort = { target, order };
      const sorted = await namesOf({ sort });
      for (const options of [{ sort }, { sort, limit: 2 }, { sort, keysOnly: true }]) {
        const { kvs, count } = await etcd.range(within, options);
        const names = kvs.map(({ key }) => key.slice(borrowed.prefix.length)).join("");
        expect([names, count], `${target} ${order}`).toEqual([sorted.slice(0, options.limit ?? 3), 3]);
        expect(kvs.every(({ text }) => (text === "") === (options.keysOnly ?? false))).toBe(true);
      }
    }
  }
});

test("range() leaves out by revisions, and does not count by them", async () => {
  const createdC = made.get("c") as number;
  const within = prefix(borrowed.prefix);
  expect((await etcd.range(within, { minCreateRevision: createdC, limit: 1 })).kvs.map(({ text }) => text)).toEqual([
    "was a",
  ]);
  expect((await etcd.range(within, { maxModRevision: createdC })).kvs.map(({ text }) => text)).toEqual(["was c"]);
  await expect(etcd.range(within, { minModRevision: 1, countOnly: true })).rejects.toThrow(
    "minModRevision cannot go with countOnly",
  );
});

test.each([false, true])("a put keeps the value or the lease that the key has (batch: %s)", async (batch) => {
  const key = `${borrowed.prefix}-kept/${batch}`;
  const stateOf = async () => {
    const kv = await etcd.get(key);
    return [kv?.text, kv?.lease] as [string, LeaseId];
  };
  const [first, second] = [await etcd.grantLease(60), await etcd.grantLease(60)];
  await expect(etcd.put(key, "v", { ignoreLease: true, batch })).rejects.toMatchObject({
    code: "ETCD_REQUEST_REFUSED",
  });
  await etcd.put(key, "one", { lease: first, batch });
  await etcd.put(key, "", { ignoreValue: true, lease: second, batch });
  expect(await stateOf()).toEqual(["one", second.id]);
  await etcd.put(key, "two", { ignoreLease: true, batch });
  expect(await stateOf()).toEqual(["two", second.id]);
  const refused = async (value: string, options: object) => {
    const error = (await etcd.put(key, value, options).catch((thrown: unknown) => thrown)) as InvalidOptionError;
    return [error.code, error.option];
  };
  expect(await refused("v", { ignoreValue: true })).toEqual(["ETCD_INVALID_OPTION", "value"]);
  expect(await refused("v", { ignoreLease: true, lease: first })).toEqual(["ETCD_INVALID_OPTION", "lease"]);
  await Promise.all([first.revoke(), second.revoke()]);
});
