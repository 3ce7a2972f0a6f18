import { afterAll, beforeAll, expect, test } from "vitest";
import * as door from "../../recipes/index.ts";
import { fuzz, isOwnReason, isReadable, isRevokedProxy } from "./hostile-options.ts";
import { closed, endPublicCalls, publicCalls, startPublicCalls } from "./public-calls.ts";
import { unharmed } from "./unharmed.ts";

beforeAll(startPublicCalls);
afterAll(endPublicCalls);

test("wrong arguments and options", async () => {
  using _ = unharmed();
  const wrong: string[] = [];
  const isTyped = (error: unknown) =>
    (error instanceof door.EtcdError && isReadable(error)) || isOwnReason(error) || isRevokedProxy(error);
  for (const make of publicCalls) {
    const fuzzed = make();
    const started = performance.now();
    wrong.push(...(await fuzz(fuzzed, isTyped, closed)));
    if (process.env.FUZZ_TIMES) console.log(fuzzed.what, Math.round(performance.now() - started));
  }
  if (process.env.FUZZ_TIMES) console.log(wrong.join("\n"));
  expect(wrong).toEqual([]);
}, 600_000);
