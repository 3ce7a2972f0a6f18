import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { balancers } from "./balancers.ts";
import type { Bench } from "./bench.ts";
import { registry } from "./registry.ts";

const benches: Readonly<Record<string, Bench>> = { balancers, registry };

const usage = `npm run bench -- [name …] [--rounds N]

${Object.entries(benches)
  .map(([name, { title }]) => `  ${name}: ${title}`)
  .join("\n")}

Without a name all of them run.`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { rounds: { type: "string", default: "5" }, help: { type: "boolean", short: "h" } },
  });
  const rounds = Number(values.rounds);
  const unknown = positionals.filter((name) => !Object.hasOwn(benches, name));
  if (values.help || unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
    if (unknown.length > 0) console.error(`no bench is called ${unknown.join(", ")}\n`);
    console.log(usage);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}`);
  for (const [name, bench] of Object.entries(benches)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    console.log(`\n${name}: ${bench.title}\n`);
    await bench.run({ rounds });
  }
}

await main();
