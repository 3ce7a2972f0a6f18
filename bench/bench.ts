/** Something that can be measured by its name on the command line. */
export interface Bench {
  readonly title: string;
  /** Prints what it measured. */
  run(options: BenchOptions): Promise<void> | void;
}

export interface BenchOptions {
  /** How often each figure is taken; the median is told. */
  readonly rounds: number;
}
