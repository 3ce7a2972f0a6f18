import { expect, test } from "vitest";
import { PageSize } from "../../../src/kv/page-size.ts";

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
