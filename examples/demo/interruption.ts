const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGPIPE: 13, SIGTERM: 15 } as const;

/**
 * npm passes on a Ctrl-C that the terminal has sent to the whole group already: within this time it is the same one.
 */
const sameKeypressMs = 500;

/** The reason of the signal that {@link onInterruption} gives. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";
  /** What a shell expects of a process that was ended like this. */
  readonly exitCode: number;

  constructor(signal: keyof typeof signalNumbers) {
    super(`interrupted by ${signal}`);
    this.exitCode = 128 + signalNumbers[signal];
  }
}

/**
 * Aborts at the first Ctrl-C, SIGTERM or SIGHUP, or when the output has no reader any more, so that all can be left in
 * order. A second signal exits at once.
 */
export function onInterruption(): AbortSignal {
  const interruption = new AbortController();
  let firstAtMs = 0;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => {
      const reason = new Interrupted(name);
      if (!interruption.signal.aborted) {
        firstAtMs = performance.now();
        interruption.abort(reason);
      } else if (performance.now() - firstAtMs > sameKeypressMs) {
        process.exit(reason.exitCode);
      }
    });
  }
  process.stdout.on("error", () => interruption.abort(new Interrupted("SIGPIPE")));
  return interruption.signal;
}
