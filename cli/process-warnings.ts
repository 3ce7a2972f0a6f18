import { withFlags } from "./library-terms.ts";
import { printable } from "./output.ts";

/** What the library warns the process of becomes a note on stderr. Other warnings stay as Node prints them. */
export function noteProcessWarnings(): void {
  const listeners = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (warning.name === "EtcdWarning") process.stderr.write(`${printable(withFlags(warning.message))}\n`);
    else for (const listener of listeners) listener(warning);
  });
}
