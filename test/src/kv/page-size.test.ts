import { expect, test } from "vitest";
import type { Protocol } from "../../../src/connection/index.ts";
import { GrpcFailure } from "../../../src/grpc/index.ts";
import { EtcdTimeoutError, keyRange, prefix } from "../../../src/index.ts";
import { PageSize } from "../../../src/kv/page-size.ts";
import { PageSizes } from "../../../src/kv/page-sizes.ts";
import { rangePages } from "../../../src/kv/range-pages.ts";

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

test("what was refused once is not asked for again, and no list begins with more while its pages are long", () => {
  const size = new PageSize();
  size.saw(32, 32 * 65_536);
  expect(size.refused(32)).toBe(true);
  for (let lists = 0; lists < 3; lists++) {
    size.begin();
    expect(size.next()).toBe(16);
    size.saw(16, 16 * 65_536);
  }
  expect(size.refused(1)).toBe(false);
});

test("a range that has become short since it was refused is read in long pages again", () => {
  const size = new PageSize();
  for (let keys = 32; keys > 1; keys /= 2) size.refused(keys);
  expect(size.next()).toBe(1);
  const asked: number[] = [];
  for (let lists = 0; lists < 15; lists++) {
    for (let pages = 0; pages < 8; pages++) size.saw(size.next(), size.next() * 50);
    size.begin();
    asked.push(size.next());
  }
  expect(asked.slice(0, 3)).toEqual([2, 4, 8]);
  expect(asked.at(-1)).toBe(10_000);
});

test.each([
  ["was on its way when its time was over makes those of the next list smaller", true, [32, 16, 8, 4, 2, 1, 1]],
  ["had no answer at all says nothing of its size", false, [32, 32, 32]],
])("a page that %s", async (_, answerBegun, expected) => {
  const asked: (number | undefined)[] = [];
  const cause = new GrpcFailure(4, "no answer within the deadline", { answerBegun });
  const outOfTime = new EtcdTimeoutError("no answer within 5000 ms", {
    cause: new EtcdTimeoutError("no answer within the time of the attempt", { cause }),
  });
  const protocol = {
    range: async ({ limit }: { limit?: number }) => {
      asked.push(limit);
      throw outOfTime;
    },
  } as unknown as Protocol;
  const pageSize = new PageSize();
  for (const _ of expected) {
    await expect(rangePages(protocol, prefix("a"), { pageSize }).next()).rejects.toBe(outOfTime);
  }
  expect(asked).toEqual(expected);
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
