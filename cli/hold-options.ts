import { hostname } from "node:os";
import type { CommandOption, Context } from "./command.ts";
import { parseDuration, parseTtlSeconds } from "./duration.ts";
import { UsageError } from "./exit-codes.ts";
import { runGuarded } from "./guarded-program.ts";

/** The options of what runs a command while something is held. */
export const holdOptions = {
  ttl: {
    type: "string",
    value: "TIME",
    help: "of the lease, 10s by default: so long after a crash the next one waits",
  },
  grace: {
    type: "string",
    value: "TIME",
    help: "from SIGTERM to the end of the lease, below half of the TTL; by default a fifth of it, and 2s at most",
  },
} as const satisfies Record<string, CommandOption>;

/** @throws UsageError, also for a grace that a healthy command would not survive */
export function holdTimes(options: Context["options"]): { ttlSeconds: number; graceMs: number } {
  const { ttl = "10s", grace } = options as { ttl?: string; grace?: string };
  const ttlSeconds = parseTtlSeconds("--ttl", ttl);
  const ttlMs = ttlSeconds * 1_000;
  const graceMs = grace === undefined ? Math.min(2_000, ttlMs / 5) : parseDuration("--grace", grace);
  // The guard stops the command when no more than the grace is left of the lease. Its renewals keep that above half of
  // the TTL.
  if (graceMs >= ttlMs / 2) {
    throw new UsageError(`--grace must be below half of --ttl: it is ${grace}, and the TTL is ${ttl}`);
  }
  return { ttlSeconds, graceMs };
}

/** Who this is, for the others. */
export const ownName = () => `${hostname()}/${process.pid}`;

/** What a term and a lock have in common. */
interface Held {
  readonly signal: AbortSignal;
  readonly token: number;
  readonly key: string;
  remainingMs(): number;
}

/**
 * Runs the command while it is held: it gets the fencing token in its environment, and never outlives what is held.
 *
 * @returns the command's exit code; undefined when it was stopped because that was lost, or was about to be
 */
export async function runWhileHeld(
  held: Held,
  { program, signal }: Context,
  graceMs: number,
  env: Readonly<Record<string, string>>,
): Promise<number | undefined> {
  const stop = AbortSignal.any([signal, held.signal]);
  const end = await runGuarded(program, { env, stop, graceMs, remainingMs: () => held.remainingMs() });
  // The guard ends it while there is still a grace left. One that obeys has ended before the signal aborts.
  return (held.signal.aborted || end.outOfTime) && !signal.aborted ? undefined : end.code;
}
