import { expect, test } from "vitest";
import { keyRange, prefix } from "../../../src/index.ts";
import { PageSize } from "../../../src/kv/page-size.ts";
import { PageSizes } from "../../../src/kv/page-sizes.ts";

test("pages grow by what came, eightfold at most, to 10 000 keys", () => {
  const size = new PageSize();
  const asked: number[] = [];
  for (let pages = 0; pages < 6; pages++) {
    asked.push(size.next());
    size.saw(size.next(), size.next() * 50);
  }
  expect(asked).toEqual([32, 256, 2_048, 10_000, 10_000, 10_000]);
});

test.each([
  [8_192, 256],
  [16_384, 128],
  [1_000_000, 16],
])("after values of %i bytes a page has %i keys: about 2 MiB, 16 keys at least", (bytesEach, keys) => {
  const size = new PageSize();
  size.saw(32, 32 * bytesEach);
  expect(size.next()).toBe(keys);
});

test("a list that is read again begins with pages of the size that it ended with, and learns anew what they are like", () => {
  const size = new PageSize();
  for (let pages = 0; pages < 4; pages++) size.saw(size.next(), size.next() * 50);
  size.begin();
  expect(size.next()).toBe(10_000);
  size.saw(10_000, 10_000 * 8_192);
  expect(size.next()).toBe(256);
});

test("the last hundred ranges are remembered, each by itself", () => {
  const sizes = new PageSizes();
  const first = sizes.of(prefix("a"));
  expect(sizes.of(prefix("a"))).toBe(first);
  const others = [prefix("b"), keyRange("a", "c"), { start: prefix("a").start }];
  expect(new Set([first, ...others.map((range) => sizes.of(range))]).size).toBe(4);
  expect(sizes.of(prefix("a"), true)).not.toBe(first);
  for (let other = 0; other < 95; other++) sizes.of(prefix(`other ${other}`));
  expect(sizes.of(prefix("a"))).toBe(first);
  for (let other = 0; other < 100; other++) sizes.of(prefix(`other ${other}`));
  expect(sizes.of(prefix("a"))).not.toBe(first);
});
