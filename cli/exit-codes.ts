import { constants } from "node:os";
import { EtcdError, type EtcdErrorCode } from "../recipes/index.ts";

/** How the program ends. With `-- COMMAND` it is the command's own code, if the command ended by itself. */
export const exitCode = {
  done: 0,
  /** etcd refused it, or there is no such thing. */
  failed: 1,
  /** The arguments are wrong. */
  usage: 2,
  /** etcd was not reached in time. */
  unreachable: 3,
  /** etcd does not know this user, or the user may not do that. */
  denied: 4,
  /** What the command ran under was lost, and the command was stopped (EX_TEMPFAIL of sysexits.h). */
  lost: 75,
} as const;

const codes: Readonly<Partial<Record<EtcdErrorCode, number>>> = {
  ETCD_INVALID_OPTION: exitCode.usage,
  ETCD_UNAVAILABLE: exitCode.unreachable,
  ETCD_TIMEOUT: exitCode.unreachable,
  ETCD_PERMISSION_DENIED: exitCode.denied,
  ETCD_UNAUTHENTICATED: exitCode.denied,
  ETCD_LEASE_LOST: exitCode.lost,
  ETCD_FENCED_OUT: exitCode.lost,
};

/** The arguments are wrong: its message says how. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** @param name of the argument, as the usage has it */
export function emptyArgument(name: string): string {
  return `${name} must not be empty${name === "PREFIX" ? ": that would be every key there is" : ""}`;
}

/** There is no such thing, or it is not as the command needs it: its message says what. */
export class CommandError extends Error {
  override name = "CommandError";
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return exitCode.usage;
  return (error instanceof EtcdError && codes[error.code]) || exitCode.failed;
}

/** As a shell counts what a signal ended. @param signal aborted with the signal's name */
export function stoppedBy({ reason }: AbortSignal): number {
  return 128 + (constants.signals[reason as NodeJS.Signals] ?? 0);
}
