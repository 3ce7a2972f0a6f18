import type { Report } from "./report.ts";

/** Something that can be measured by its name on the command line. */
export interface Bench {
  readonly title: string;
  /** Prints what it measured, and leaves the figures in the report. */
  run(options: BenchOptions): Promise<void> | void;
}

export interface BenchOptions {
  /** How often each figure is taken; the median is reported. */
  readonly rounds: number;
  readonly report: Report;
}
