import { inspect } from "node:util";
import { expect, test } from "vitest";
import { StoredKeyValue } from "../../../src/model/key-value.ts";
import { storedKeyValue } from "../../support/stored-key-value.ts";

function stored(key: string | Uint8Array, value: string | Uint8Array): StoredKeyValue {
  return storedKeyValue({
    keyBytes: Buffer.from(key),
    value: Buffer.from(value),
    createRevision: 2,
    modRevision: 3,
    version: 1,
  });
}

test("values that are settled are what they were, in one buffer that holds nothing else", () => {
  const noText = Buffer.from([0xff, 0x00, 0xfe]);
  const kvs = [stored("a", "first"), stored("b", ""), stored("c", noText), stored("d", "ü"), stored("e", "last")];
  // One whose value was looked at already has a view of its own.
  expect(kvs[4]?.value).toEqual(Buffer.from("last"));
  const before = kvs.map(({ key, text, value }) => ({ key, text, value: Buffer.from(value) }));
  StoredKeyValue.settle(kvs);
  expect(kvs.map(({ key, text, value }) => ({ key, text, value }))).toEqual(before);
  const buffers = new Set(kvs.map(({ value }) => value.buffer));
  expect(Array.from(buffers, ({ byteLength }) => byteLength)).toEqual([5 + 0 + 3 + 2 + 4]);
  StoredKeyValue.settle(kvs);
  expect(kvs.map(({ key, text, value }) => ({ key, text, value }))).toEqual(before);
  StoredKeyValue.settle([]);
});

test("a key that is no text keeps its bytes, and inspect shows what is made when it is asked for", () => {
  const key = new Uint8Array([0x61, 0xff]);
  const kv = stored(key, "v");
  expect(kv.key).toBe("a\ufffd");
  expect(new Uint8Array(kv.keyBytes)).toEqual(key);
  expect(new Uint8Array(stored("a\ufffd", "v").keyBytes)).toEqual(new Uint8Array(Buffer.from("a\ufffd")));
  expect(inspect(kv)).toMatch(/text: 'v'/);
});
