import { type InOurTerms, termsOf } from "./library-terms.ts";
import { printable } from "./output.ts";

/** What the library warns the process of becomes a note on stderr. Other warnings stay as Node prints them. */
export function noteProcessWarnings(
  err: NodeJS.WriteStream = process.stderr,
  inOurTerms: InOurTerms = termsOf([]),
): void {
  const listeners = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", (warning: Error & { code?: unknown }) => {
    // By the code: what a recipe warns of has the name of its error.
    if (String(warning.code).startsWith("ETCD_")) err.write(`${printable(inOurTerms(warning.message))}\n`);
    else for (const listener of listeners) listener(warning);
  });
}
