import { afterAll, expect, test } from "vitest";
import {
  compareValue,
  deleteOp,
  EtcdClient,
  getOp,
  keyExists,
  keyRange,
  prefix,
  putOp,
  rangeOp,
} from "../../../src/index.ts";

// Half of a surrogate pair has no UTF-8, and would be written as U+FFFD: many texts would come to one key or value.

// No endpoint: nothing is sent before the refusal.
const etcd = new EtcdClient({ endpoints: "http://127.0.0.1:1" });
afterAll(() => etcd.close());

type Call = (text: string) => unknown;

const calls: readonly [call: string, option: string, Call][] = [
  ["put", "key", (text) => etcd.put(text, "v")],
  ["put", "value", (text) => etcd.put("k", text)],
  ["get", "key", (text) => etcd.get(text)],
  ["range", "key", (text) => etcd.range(text)],
  ["delete", "key", (text) => etcd.delete(text)],
  ["watch", "key", (text) => etcd.watch(text)],
  ["mirror", "key", (text) => etcd.mirror(text)],
  ["prefix", "keyPrefix", (text) => prefix(text)],
  ["keyRange", "start", (text) => keyRange(text, "z")],
  ["keyRange", "end", (text) => keyRange("a", text)],
  ["putOp", "key", (text) => putOp(text, "v")],
  ["putOp", "value", (text) => putOp("k", text)],
  ["getOp", "key", (text) => getOp(text)],
  ["rangeOp", "key", (text) => rangeOp(text)],
  ["deleteOp", "key", (text) => deleteOp(text)],
  ["keyExists", "key", (text) => keyExists(text)],
  ["compareValue", "operand", (text) => compareValue("k", "equal", text)],
  ["EtcdClient", "namespace", (text) => new EtcdClient({ namespace: text })],
  ["namespace", "namespace", (text) => etcd.namespace(text)],
];

test.each(calls)("%s: a %s with half of a surrogate pair is refused by name", async (what, option, call) => {
  for (const text of ["\ud800", "a\udc00", "\udc00\ud800", `${"a".repeat(100)}\ud83d`, "\u{1f600}".slice(0, 1)]) {
    const error = await Promise.resolve()
      .then(() => call(text))
      .catch((refusal: unknown) => refusal);
    expect(error).toMatchObject({
      code: "ETCD_INVALID_OPTION",
      option,
      message: `${what}: ${option} must be well-formed text: half of a surrogate pair would be U+FFFD`,
    });
  }
});

test.each(["a", "\u00e9", "\u{1f600}", "\ufffd", "a\0b", "\u{1f600}".repeat(100)])("%j is written as UTF-8", (text) => {
  const put = putOp(text, text);
  expect([Buffer.from(put.key), Buffer.from(put.value)]).toEqual([Buffer.from(text), Buffer.from(text)]);
});

test("bytes that are no UTF-8 are taken as they are", () => {
  const bytes = new Uint8Array([0xed, 0xa0, 0x80, 0xff]);
  expect(putOp(bytes, bytes)).toMatchObject({ key: bytes, value: bytes });
});
