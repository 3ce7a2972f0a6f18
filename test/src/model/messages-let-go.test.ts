import { expect, test } from "vitest";
import { type KeyValue, StoredKeyValue } from "../../../src/model/key-value.ts";
import { EventEvidence } from "../../../src/watch/event-evidence.ts";
import { FilteredEvidence } from "../../../src/watch/filtered-evidence.ts";
import { collectGarbage } from "../../support/collect-garbage.ts";
import { until } from "../../support/until.ts";

/** Entries whose values lie in one message of a megabyte, and that message. */
function inLargeMessage(...values: string[]): { kvs: KeyValue[]; memory: WeakRef<ArrayBufferLike> } {
  const message = Buffer.allocUnsafeSlow(1_000_000);
  const kvs = values.map((value, index) => {
    const keyStart = 1_000 * (index + 1);
    const valueStart = keyStart + message.write(`key-${index}`, keyStart);
    const valueEnd = valueStart + message.write(value, valueStart);
    const revisions = { createRevision: 2, modRevision: 3, version: 1, lease: undefined };
    return new StoredKeyValue({ ...revisions, message, keyStart, keyEnd: valueStart, valueStart, valueEnd });
  });
  return { kvs, memory: new WeakRef(message.buffer) };
}

async function collected(memory: WeakRef<ArrayBufferLike>): Promise<void> {
  await until(() => {
    collectGarbage();
    return memory.deref() === undefined;
  });
}

test.each([
  ["all events", new EventEvidence()],
  ["some events", new FilteredEvidence()],
])("what a watch of %s has gathered keeps no message alive", async (_, evidence) => {
  const { kvs, memory } = inLargeMessage("a value", "", "another", "the last");
  evidence.saw({ type: "events", revision: 3, events: kvs.map((kv) => ({ type: "put", kv })) });
  await collected(memory);
  expect(kvs.map(({ text }) => text)).toEqual(["a value", "", "another", "the last"]);
});

test("an empty value keeps no message alive, not even before it is read", async () => {
  const { kvs, memory } = inLargeMessage("", "");
  await collected(memory);
  expect(kvs.map(({ value, text }) => [value.length, text])).toEqual([
    [0, ""],
    [0, ""],
  ]);
});
