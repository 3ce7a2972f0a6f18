import { InvalidOptionError } from "etcd-recipes";
import { printable } from "../../printable.ts";

/** What each program of the engine is: its options are read, it runs until it is asked to stop, and leaves in order. */
export interface Program<Options> {
  readonly usage: string;
  /** @throws Error that names a bad option */
  readOptions(args: readonly string[]): Options;
  /** Resolves when it was done, or `stopping` aborted, and all is left in order. */
  run(options: Options, stopping: AbortSignal): Promise<void>;
}

/** Ends the process: with 0 when it left in order, with 2 for a bad option, with 1 for everything else. */
export async function runProgram<Options>({ usage, readOptions, run }: Program<Options>): Promise<void> {
  const args = process.argv.slice(2);
  if (args.includes("--help")) {
    console.log(usage);
    return;
  }
  try {
    await run(readOptions(args), onStop());
    // What may hold the process yet is a connection to something that is away.
    process.exit(0);
  } catch (error) {
    console.error(printable((error as Error).message));
    process.exit(isBadOption(error) ? 2 : 1);
  }
}

function isBadOption(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return error instanceof InvalidOptionError || code?.startsWith("ERR_PARSE_ARGS") === true;
}

/** Aborts when this process is asked to end. A second time ends it at once. */
function onStop(): AbortSignal {
  const stopping = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (stopping.signal.aborted) process.exit(1);
      stopping.abort(new Error(`stopped by ${name}`));
    });
  }
  // Started by another program, it must not outlive it, however that ends.
  process.on("disconnect", () => process.exit(1));
  process.channel?.unref();
  return stopping.signal;
}
