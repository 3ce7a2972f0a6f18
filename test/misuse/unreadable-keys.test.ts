import { expect, test } from "vitest";
import { sameKeyValue } from "../../src/model/key-value.ts";
import type { WatchEvent } from "../../src/model/watch-event.ts";
import { EventEvidence } from "../../src/watch/event-evidence.ts";
import { storedKeyValue } from "../../testing/fake-etcd/stored-key-value.ts";

// Two keys that are not UTF-8, and read the same.

const kv = (byte: number, modRevision: number) =>
  storedKeyValue({
    keyBytes: Uint8Array.of(byte),
    value: Buffer.from("v"),
    createRevision: modRevision,
    modRevision,
    version: 1,
  });

test("keys that read the same are not taken for one another", () => {
  expect(kv(0xff, 2).key).toBe(kv(0xfe, 2).key);
  expect(sameKeyValue(kv(0xff, 2), kv(0xfe, 2))).toBe(false);
  expect(sameKeyValue(kv(0xff, 2), kv(0xff, 2))).toBe(true);
});

test("what is known of one of them stays known when something happens to the other", () => {
  const evidence = new EventEvidence();
  const saw = (type: WatchEvent["type"], byte: number, revision: number) =>
    evidence.saw({ type: "events", revision, events: [{ type, kv: kv(byte, revision) }] });
  saw("put", 0xff, 2);
  saw("delete", 0xfe, 3);
  expect(evidence.evidence()?.newest?.keyBytes).toEqual(kv(0xff, 2).keyBytes);
  saw("put", 0xff, 4);
  expect(evidence.evidence()?.deleted?.map(({ keyBytes }) => Buffer.from(keyBytes))).toEqual([Buffer.of(0xfe)]);
  saw("put", 0xfe, 5);
  expect(evidence.evidence()?.deleted).toEqual([]);
  expect(evidence.evidence()?.others?.map(({ keyBytes }) => Buffer.from(keyBytes))).toEqual([Buffer.of(0xff)]);
});
