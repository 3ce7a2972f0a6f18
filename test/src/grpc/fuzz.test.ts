import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { fuzzOnce, type Seen } from "../../fuzz/wire-fuzzer.ts";
import { seeded } from "../../support/seeded.ts";

// Millions of inputs: npm run fuzz -- --times 5000000
const times = 1_500;
/** It goes on until each end was seen: among the first 1 500 inputs of 130 seeds, once no call had ended with 5. */
const most = 15_000;
/** How connections and calls must have ended, each at least once. */
const ends = ["open", "protocol", "goaway", "closed"];
const calls = ["ok", "5", "13", "14"];

test("no answer that was changed at random makes the client crash, hang or break HTTP/2 itself", async () => {
  const seen: Seen = { inputs: 0, ends: new Map(), calls: new Map(), pending: [] };
  const random = seeded("wire fuzzer");
  const hasAll = () => ends.every((end) => seen.ends.has(end)) && calls.every((call) => seen.calls.has(call));
  while (seen.inputs < times || (!hasAll() && seen.inputs < most)) {
    try {
      fuzzOnce(random, seen);
    } catch (cause) {
      throw new Error(`seed ${random.seed}, input ${seen.inputs}: ${(cause as Error).message}`, { cause });
    }
    if (seen.inputs % 100 !== 0) continue;
    await turn();
    for (const check of seen.pending.splice(0)) check();
  }
  expect([...seen.ends.keys()]).toEqual(expect.arrayContaining(ends));
  expect([...seen.calls.keys()]).toEqual(expect.arrayContaining(calls));
});
