import { EventEmitter } from "node:events";
import { ListenerFailedError } from "../../src/index.ts";
import { asError, type Clock, log, ProcessWarnings, runtimeOf } from "../../src/internal/index.ts";

const debug = log("recipe");

/** Events that every recipe has. */
export interface CommonEvents {
  /**
   * Something was repaired, retried or skipped: worth a line in a log, nothing to handle. Without a listener it becomes
   * a warning of the process (`process.emitWarning`), the same message once a minute at most.
   */
  warning: [error: Error];
  /** The end: no retry can change it. The recipe does nothing any more. */
  failed: [error: Error];
}

/** What a listener returns is looked at: an asynchronous one can fail later. */
type AnyListener = (...args: unknown[]) => unknown;

/**
 * An EventEmitter whose listeners cannot hurt it: one that throws, or whose promise rejects, is reported as a
 * `warning`, and the others still run. A `warning` that nothing listens for, or whose listener fails, is a warning of
 * the process.
 */
export class Notifier<Events extends Record<keyof Events, unknown[]> & CommonEvents> extends EventEmitter<Events> {
  readonly #clock: Clock | undefined;
  /** Made when it is needed: of thousands most have nothing to warn of. */
  #processWarnings: ProcessWarnings | undefined;

  /** @param clock of the recipe's client, for the minute of a warning; the system's for what has no client @internal */
  constructor(clock?: Clock) {
    super();
    this.#clock = clock;
  }

  /** @internal */
  protected notify<Name extends keyof Events & string>(name: Name, ...args: Events[Name]): void {
    const listeners = this.rawListeners(name as never) as unknown as AnyListener[];
    if (name === "warning" && listeners.length === 0) this.#warnProcess(asError(args[0]));
    for (const listener of listeners) {
      try {
        const returned = listener.apply(this, args);
        if (returned instanceof Promise) returned.catch((error: unknown) => this.#report(name, error));
      } catch (error) {
        this.#report(name, error);
      }
    }
  }

  #warnProcess(error: Error): void {
    this.#processWarnings ??= new ProcessWarnings(this.#clock ?? runtimeOf(this).clock);
    this.#processWarnings.emit(error);
  }

  #report(name: string, cause: unknown): void {
    const error = new ListenerFailedError(`a listener of "${name}" failed: ${asError(cause).message}`, { cause });
    debug("%s", error.message);
    if (name === "warning") this.#warnProcess(error);
    else this.notify("warning", ...([error] as unknown as Events["warning"]));
  }
}
