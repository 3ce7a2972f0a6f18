import { describe, expect, test } from "vitest";
import { allKeys, keyRange, prefix } from "../../../src/index.ts";
import { endOfPrefix, toKeyRange } from "../../../src/model/key-range.ts";
import { seeded } from "../../support/seeded.ts";

describe("the range of a prefix", () => {
  test("has every key that begins with it, and no other", () => {
    const random = seeded("prefix");
    const bytes = (most: number) =>
      Uint8Array.from({ length: random.between(1, most) }, () => random.pick([0, 1, 0x2f, 0x30, 0xfe, 0xff]));
    for (let round = 0; round < 5_000; round++) {
      const [start, key] = [bytes(3), bytes(5)];
      const { end } = prefix(start);
      const toTheEnd = end?.length === 1 && end[0] === 0;
      const inRange = Buffer.compare(key, start) >= 0 && (toTheEnd || Buffer.compare(key, end ?? new Uint8Array()) < 0);
      const begins = Buffer.compare(key.subarray(0, start.length), start) === 0;
      expect(inRange, `seed ${random.seed}: ${[...start]} and ${[...key]}`).toBe(begins);
    }
  });

  test("of 0xff bytes alone goes to the last key", () => {
    expect([...endOfPrefix(Uint8Array.of(0xff, 0xff))]).toEqual([0]);
  });

  test("does not change the bytes that it was made of", () => {
    const start = Buffer.from("svc/");
    prefix(start);
    expect(start.toString()).toBe("svc/");
  });
});

/** Made by hand. Without a namespace etcd takes an empty end for none, within one it would be below the start. */
const empty = [[], [0x61], [0x60]].map((end) => ({ start: Uint8Array.of(0x61), end: Uint8Array.from(end) }));

test("an empty key, prefix or range is refused by name", () => {
  const refused = (option: string) =>
    expect.objectContaining({ code: "ETCD_INVALID_OPTION", message: expect.stringContaining(option) });
  expect(() => prefix("")).toThrow(refused("keyPrefix"));
  expect(() => keyRange("", "b")).toThrow(refused("start"));
  expect(() => keyRange("b", "b")).toThrow(refused("end"));
  expect(() => keyRange("b", "a")).toThrow(refused("end"));
  expect(() => toKeyRange("watch", "")).toThrow(refused("key"));
  for (const wrong of [7, null, {}, { start: "a" }, { start: Uint8Array.of(1), end: "b" }, ...empty]) {
    expect(() => toKeyRange("watch", wrong as unknown as string)).toThrow(refused("key"));
  }
  expect(allKeys()).toEqual({ start: Uint8Array.of(0), end: Uint8Array.of(0) });
});
