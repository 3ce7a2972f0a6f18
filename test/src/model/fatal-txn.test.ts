import { describe, expect, test } from "vitest";
import {
  allKeys,
  deleteOp,
  EtcdClient,
  InvalidOptionError,
  keyMissing,
  keyRange,
  type Op,
  putOp,
  txnOp,
} from "../../../src/index.ts";

// A txn that deletes a key up to the last one and puts it keeping its value ends etcd, at each start again.

const from = (key: string) => deleteOp({ ...allKeys(), start: Buffer.from(key) });
const keeping = putOp("k", "", { ignoreValue: true });

/** No call leaves, for none may: what is refused is refused before the signal is looked at. */
async function errorOf(success: readonly Op[], failure: readonly Op[] = []): Promise<unknown> {
  await using etcd = new EtcdClient({ endpoints: "127.0.0.1:1" });
  const { signal } = aborted;
  return await etcd.txn({ compare: [keyMissing("c")], success, failure }, { signal }).catch((error: unknown) => error);
}

const aborted = new AbortController();
aborted.abort(new Error("none leaves"));

const refused = (option: string) => ({
  option,
  message: expect.stringContaining("of a key that it has deleted before, up to the last key"),
});

describe("is refused", () => {
  test.each<[string, readonly Op[]]>([
    ["a deletion of all keys before it", [deleteOp(allKeys()), keeping]],
    ["of the rest of them", [putOp("b", ""), from("k"), keeping]],
    ["with the lease kept", [from("a"), putOp("k", "v", { ignoreLease: true })]],
    ["by the wider of two deletions", [from("a"), from("z"), putOp("k", "", { ignoreValue: true })]],
    ["in a txn within it", [txnOp({ success: [from("a")] }), keeping]],
    ["in two txns within it", [txnOp({ success: [from("a")] }), txnOp({ failure: [keeping] })]],
  ])("%s", async (_, ops) => {
    expect(await errorOf(ops)).toBeInstanceOf(InvalidOptionError);
    expect(await errorOf(ops)).toMatchObject(refused("success"));
    expect(await errorOf([], ops)).toMatchObject(refused("failure"));
    expect(() => txnOp({ success: [...ops] })).toThrow(InvalidOptionError);
  });
});

describe("what etcd takes, or refuses by itself, is not", () => {
  test.each<[string, readonly Op[]]>([
    ["a deletion that begins behind it", [from("l"), keeping]],
    ["one of a range that ends", [deleteOp(keyRange("a", "z")), keeping]],
    ["one that comes after it", [keeping, from("k")]],
    ["a put that keeps nothing", [deleteOp(allKeys()), putOp("k", "v")]],
    ["in branches of which one is executed", [txnOp({ success: [from("a")], failure: [keeping] })]],
  ])("%s", async (_, ops) => {
    expect(await errorOf(ops)).toBe(aborted.signal.reason);
    expect(() => txnOp({ success: [...ops] })).not.toThrow();
  });
});

test("a txn within one that was made by hand, with a part left out, is refused by name", async () => {
  const part = { type: "txn", success: [putOp("k", "v")] } as unknown as Op;
  const named = { code: "ETCD_INVALID_OPTION", option: "success[0]" };
  expect(await errorOf([part])).toMatchObject(named);
  expect(() => txnOp({ success: [part] })).toThrow(expect.objectContaining(named));
});
