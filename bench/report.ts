import { cpus } from "node:os";
import { median, type Sample } from "./measure.ts";
import { figure, printTable } from "./table.ts";

/** What one case of a bench came to: each figure with its unit in its name. */
export interface Finding {
  readonly bench: string;
  /** What was measured: `{ operation: "get", inFlight: 64, peer: "etcd3" }`. */
  readonly of: Readonly<Record<string, string | number>>;
  readonly median: Sample;
  /** One for each round. */
  readonly samples: readonly Sample[];
}

/** A figure that is wanted, and what it is. */
export interface Target {
  readonly bench: string;
  readonly what: string;
  readonly unit: string;
  readonly wanted: { readonly atLeast: number } | { readonly atMost: number };
  readonly measured: number;
  readonly reached: boolean;
}

/** All figures of one run. */
export class Report {
  readonly #findings: Finding[] = [];
  readonly #targets: Target[] = [];

  add<Name extends string>(bench: string, of: Finding["of"], samples: readonly Sample<Name>[]): void {
    const names = Object.keys(samples[0] ?? {}) as Name[];
    const middle = (name: Name) => median(samples.map((sample) => sample[name] ?? Number.NaN));
    this.#findings.push({ bench, of, median: Object.fromEntries(names.map((name) => [name, middle(name)])), samples });
  }

  target(bench: string, what: string, unit: string, measured: number, wanted: Target["wanted"]): void {
    const reached = "atLeast" in wanted ? measured >= wanted.atLeast : measured <= wanted.atMost;
    this.#targets.push({ bench, what, unit, wanted, measured, reached });
  }

  printTargets(): void {
    if (this.#targets.length === 0) return;
    console.log("\ntargets, as measured in this run\n");
    printTable(
      ["target", "wanted", "measured", ""],
      this.#targets.map(({ bench, what, unit, wanted, measured, reached }) => [
        `${bench}: ${what}`,
        "atLeast" in wanted ? `≥ ${figure(wanted.atLeast)} ${unit}` : `≤ ${figure(wanted.atMost)} ${unit}`,
        `${figure(measured)} ${unit}`,
        reached ? "reached" : "not reached",
      ]),
    );
  }

  toJSON(): object {
    return {
      at: new Date().toISOString(),
      node: process.version,
      cpu: `${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}`,
      targets: this.#targets,
      findings: this.#findings,
    };
  }
}
