import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient, prefix, type RangeOp, type RangeResult, rangeOp } from "../../../src/index.ts";
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
  expect(await namesOf({ sort: { by: "key", order: "descend" } })).toBe("cba");
  expect(await namesOf({ sort: { by: "createRevision", order: "ascend" } })).toBe("bca");
  expect(await namesOf({ sort: { by: "createRevision", order: "descend" }, limit: 1 })).toBe("a");
  expect(await namesOf({ sort: { by: "modRevision", order: "descend" } })).toBe("bac");
  expect(await namesOf({ sort: { by: "version", order: "descend" }, limit: 1 })).toBe("b");
  expect(await namesOf({ sort: { by: "value", order: "ascend" } })).toBe("bac");
});

test("keys that were made after a revision are left out, whenever they were written last", async () => {
  const createdC = made.get("c") as number;
  expect(await namesOf({ maxCreateRevision: createdC })).toBe("bc");
  expect(await namesOf({ maxCreateRevision: createdC - 1 })).toBe("b");
  expect(
    await namesOf({ maxCreateRevision: createdC, sort: { by: "createRevision", order: "descend" }, limit: 1 }),
  ).toBe("c");
});
