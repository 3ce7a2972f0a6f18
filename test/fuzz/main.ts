import { randomInt } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { parseArgs } from "node:util";
import { seeded } from "../support/seeded.ts";
import { fuzzOnce, type Seen } from "./wire-fuzzer.ts";

// npm run fuzz -- --times 5000000 --seed 42

const { values } = parseArgs({ options: { times: { type: "string" }, seed: { type: "string" } } });
const times = Number(values.times ?? 1_000_000);
process.env.TEST_SEED = values.seed ?? String(randomInt(2 ** 31));

const seen: Seen = { inputs: 0, ends: new Map(), calls: new Map(), pending: [] };
const random = seeded("wire fuzzer");
console.log(`${times} inputs from seed ${random.seed}`);
while (seen.inputs < times) {
  try {
    fuzzOnce(random, seen);
    if (seen.inputs % 100 !== 0) continue;
    await turn();
    for (const check of seen.pending.splice(0)) check();
  } catch (cause) {
    throw new Error(`seed ${random.seed}, input ${seen.inputs}`, { cause });
  }
  if (seen.inputs % 100_000 === 0) report();
}
report();

function report(): void {
  const { rss, arrayBuffers, heapUsed } = process.memoryUsage();
  const megabytes = [rss, heapUsed, arrayBuffers].map((bytes) => Math.round(bytes / 1e6)).join(", ");
  const received = (map: ReadonlyMap<string, number>) => JSON.stringify(Object.fromEntries([...map].sort()));
  console.log(`${seen.inputs}: connections ${received(seen.ends)}, calls ${received(seen.calls)}, MB ${megabytes}`);
}
