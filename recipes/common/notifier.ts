import { EventEmitter } from "node:events";
import { log } from "../../src/internal/index.ts";
import { ListenerFailedError } from "./listener-failed-error.ts";
import { asError } from "./mendable.ts";

const debug = log("recipe");

/** Events that every recipe has. */
export interface CommonEvents {
  /** Something was mended, retried or skipped: worth a line in a log, nothing to handle. */
  warning: [error: Error];
  /** The end: a retry cannot mend it. The recipe does nothing any more. */
  failed: [error: Error];
}

/** What a listener returns is looked at: an asynchronous one can fail later. */
type AnyListener = (...args: unknown[]) => unknown;

/**
 * An EventEmitter whose listeners cannot hurt it: one that throws, or whose promise rejects, is reported as a `warning`,
 * and the others still run.
 */
export class Notifier<Events extends Record<keyof Events, unknown[]> & CommonEvents> extends EventEmitter<Events> {
  /** @internal */
  protected notify<Name extends keyof Events & string>(name: Name, ...args: Events[Name]): void {
    for (const listener of this.rawListeners(name as never) as unknown as AnyListener[]) {
      try {
        const returned = listener.apply(this, args);
        if (returned instanceof Promise) returned.catch((error: unknown) => this.#report(name, error));
      } catch (error) {
        this.#report(name, error);
      }
    }
  }

  #report(name: string, cause: unknown): void {
    const error = new ListenerFailedError(`a listener of "${name}" failed: ${asError(cause).message}`, { cause });
    debug("%s", error.message);
    if (name === "warning") return;
    this.notify("warning", ...([error] as unknown as Events["warning"]));
  }
}
