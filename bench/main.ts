import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { balancers } from "./balancers.ts";
import type { Bench } from "./bench.ts";
import { channels } from "./channels.ts";
import { events } from "./events.ts";
import { growth } from "./growth.ts";
import { kv } from "./kv.ts";
import { leases } from "./leases.ts";
import { lists } from "./lists.ts";
import { queue } from "./queue.ts";
import { registrations } from "./registrations.ts";
import { registry } from "./registry.ts";
import { Report } from "./report.ts";
import { snapshot } from "./snapshot.ts";
import { touch } from "./touch.ts";
import { wire } from "./wire.ts";

const benches: Readonly<Record<string, Bench>> = {
  kv,
  snapshot,
  events,
  leases,
  growth,
  touch,
  balancers,
  registry,
  lists,
  queue,
  registrations,
  wire,
  channels,
};
const defaultFile = "build/bench.json";

const usage = `npm run bench -- [name …] [--rounds N] [--json[=file]]

${Object.entries(benches)
  .map(([name, { title }]) => `  ${name}: ${title}`)
  .join("\n")}

Without a name all of them run. --json writes all figures to the file, or to ${defaultFile}.`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    // It may stand without a file, which parseArgs knows nothing of.
    args: process.argv.slice(2).map((argument) => (argument === "--json" ? `--json=${defaultFile}` : argument)),
    allowPositionals: true,
    options: {
      rounds: { type: "string", default: "5" },
      json: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  });
  const rounds = Number(values.rounds);
  const unknown = positionals.filter((name) => !Object.hasOwn(benches, name));
  if (values.help || unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
    if (unknown.length > 0) console.error(`no bench is called ${unknown.join(", ")}\n`);
    console.log(usage);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const report = new Report();
  console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}`);
  for (const [name, bench] of Object.entries(benches)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    console.log(`\n${name}: ${bench.title}\n`);
    await bench.run({ rounds, report });
    // What was measured is not lost when a later one fails.
    if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
  }
  report.printTargets();
}

await main();
