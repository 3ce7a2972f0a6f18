import type { Section } from "./snapshot.ts";

/** Where one section comes from. */
export interface Source {
  /** Resolves when `read()` has something. @throws why it never will */
  readonly ready: Promise<void>;
  /** How long ago what `read()` returns was true; 0: it is. */
  readonly ageMs: number;
  /** Why it is not true any more. */
  readonly problem: string | undefined;
  /** Asks etcd, where no watch does. Never rejects. */
  refresh(): Promise<void>;
  read(): Section | undefined;
  close(): Promise<void>;
}
