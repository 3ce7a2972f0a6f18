import { inspect } from "node:util";
import { expect, test } from "vitest";
import { StoredKeyValue } from "../../../src/model/key-value.ts";
import { storedKeyValue } from "../../../testing/fake-etcd/stored-key-value.ts";

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

test("JSON has the value: as text, or as base64 where it is none", () => {
  const json = (kv: StoredKeyValue) => JSON.parse(JSON.stringify({ kv })).kv;
  const revisions = { createRevision: 2, modRevision: 3, version: 1 };
  expect(json(stored("a", "ü"))).toEqual({ key: "a", value: "ü", ...revisions });
  expect(json(stored("a", ""))).toEqual({ key: "a", value: "", ...revisions });
  expect(json(stored(new Uint8Array([0x61, 0xff]), new Uint8Array([0xfe])))).toEqual({
    keyBase64: "Yf8=",
    valueBase64: "/g==",
    ...revisions,
  });
});

test("a key that is no text keeps its bytes, and inspect shows what is made when it is asked for", () => {
  const key = new Uint8Array([0x61, 0xff]);
  const kv = stored(key, "v");
  expect(kv.key).toBe("a\ufffd");
  expect(new Uint8Array(kv.keyBytes)).toEqual(key);
  expect(new Uint8Array(stored("a\ufffd", "v").keyBytes)).toEqual(new Uint8Array(Buffer.from("a\ufffd")));
  expect(inspect(kv)).toMatch(/text: 'v'/);
});

test("a key that is no text does not keep its message alive, and a value that is read leaves a large one", () => {
  const message = Buffer.allocUnsafeSlow(100_000).fill("v");
  message[0] = 0xff;
  const fields = { createRevision: 2, modRevision: 3, version: 1, lease: undefined };
  const kv = new StoredKeyValue({ ...fields, message, keyStart: 0, keyEnd: 1, valueStart: 10, valueEnd: 20 });
  expect(kv.keyBytes.buffer.byteLength).toBe(1);
  expect(kv.value.buffer).not.toBe(message.buffer);
  expect([kv.text, kv.value.length]).toEqual(["vvvvvvvvvv", 10]);
  const most = new StoredKeyValue({ ...fields, message, keyStart: 0, keyEnd: 1, valueStart: 10, valueEnd: 90_000 });
  expect(most.value.buffer).toBe(message.buffer);
});

test("settled values stay where they are when they are read, and are compared without being read", () => {
  const kvs = Array.from({ length: 600 }, (_, index) => stored(`${index}`, `${index}`.padEnd(1_000)));
  StoredKeyValue.settle(kvs);
  const memory = new Set(kvs.map((kv) => StoredKeyValue.memoryOf(kv)));
  expect(Array.from(memory, (buffer) => buffer?.byteLength)).toEqual([263_000, 263_000, 74_000]);
  for (const [index, kv] of kvs.entries()) {
    expect(StoredKeyValue.sameValue(kv, stored("other", `${index}`.padEnd(1_000)))).toBe(true);
    expect(StoredKeyValue.sameValue(kv, stored("other", `${index}`.padEnd(999)))).toBe(false);
    expect(kv.value.buffer).toBe(StoredKeyValue.memoryOf(kv));
    expect(StoredKeyValue.lengthOf(kv)).toBe(1_000);
  }
});
