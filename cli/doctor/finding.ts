import type { EtcdClient } from "../../recipes/index.ts";

const levels = ["ok", "warn", "bad"] as const;

export type Level = (typeof levels)[number];

/** One line of the doctor's. */
export interface Finding {
  readonly level: Level;
  readonly check: string;
  /** What was seen. */
  readonly found: string;
  /** What to do about it. */
  readonly todo?: string;
}

/** What the checks work with. */
export interface Patient {
  readonly etcd: EtcdClient;
  readonly timeoutMs: number;
  /** Aborts when the user stops the program. */
  readonly signal: AbortSignal;
  /** Who asks, with authentication. */
  readonly user: string | undefined;
  /** Whose registrations are read. */
  readonly prefix: string | undefined;
  /** Whether a lease may be granted and a key of its own written. */
  readonly mayWrite: boolean;
  /** PEM files of `--cacert`, or of the environment. */
  readonly caFile: string | undefined;
}

/** Returns what it found; what it throws becomes a finding. */
export type Check = (patient: Patient) => Promise<readonly Finding[]>;

export function worstOf(findings: readonly Finding[]): Level {
  return levels[Math.max(0, ...findings.map(({ level }) => levels.indexOf(level)))] as Level;
}

export const ok = (check: string, found: string): Finding => ({ level: "ok", check, found });
export const warn = (check: string, found: string, todo: string): Finding => ({ level: "warn", check, found, todo });
export const bad = (check: string, found: string, todo: string): Finding => ({ level: "bad", check, found, todo });
