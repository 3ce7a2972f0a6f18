import { constants } from "node:os";
import { InvalidOptionError } from "../../src/index.ts";
import { inMs, LONGEST_DELAY_MS, type OptionCheck, optionsOf, shown } from "../../src/internal/index.ts";

/** What is closed at the end of a process: any recipe, and clients. */
export interface ClosableRecipe {
  close(): Promise<unknown>;
}

/**
 * A server of `node:http`, `node:https`, `node:http2` or `node:net`, or what is closed like one. Of `node:http2` and
 * `node:net` what has connected before `shutdown()` was called ends by itself only.
 */
export interface ClosableServer {
  /** Takes no connection any more, and calls back, or resolves, when those that there are have ended. */
  close(callback?: (error?: Error) => void): unknown;
}

/** Options of `shutdown()`. All may be left out. */
export interface ShutdownOptions {
  /** What is closed, in any order: recipes, and clients that were given to them. @default none */
  recipes?: readonly ClosableRecipe[] | undefined;
  /** What serves requests: closed when no reader has the process in its list any more. @default none */
  servers?: readonly ClosableServer[] | undefined;
  /** What begins it: any but SIGKILL and SIGSTOP, which no process can listen to. @default SIGTERM and SIGINT */
  signals?: readonly NodeJS.Signals[] | undefined;
  /**
   * How long registrations stay marked as draining, or are gone already (plain ones), before the servers are closed, in
   * milliseconds, at least 0: readers of the list need a moment to see it.
   *
   * @default 2000
   */
  drainMs?: number | undefined;
  /**
   * How long all of it may take, in milliseconds, more than `drainMs`. Requests may take three quarters of what is left
   * of it after draining; then their connections are destroyed.
   *
   * @default 25000: Kubernetes kills after 30 s
   */
  timeoutMs?: number | undefined;
}

export interface ResolvedShutdown {
  readonly recipes: readonly ClosableRecipe[];
  readonly servers: readonly ClosableServer[];
  readonly signals: ReadonlySet<NodeJS.Signals>;
  readonly drainMs: number;
  readonly timeoutMs: number;
}

const list: OptionCheck = { allowed: "a list of what has close()", holds: Array.isArray };
const milliseconds: OptionCheck = {
  allowed: "a number of milliseconds, at least 0 and below 2^31",
  holds: (value) => typeof value === "number" && value >= 0 && value <= LONGEST_DELAY_MS,
};
/** Node listens to neither: the process never gets them. */
const unheardSignals = new Set(["SIGKILL", "SIGSTOP"]);
const checks: Readonly<Record<keyof ShutdownOptions, OptionCheck>> = {
  recipes: list,
  servers: list,
  signals: { allowed: "a list of signals such as SIGTERM", holds: Array.isArray },
  drainMs: milliseconds,
  timeoutMs: milliseconds,
};

const what = "shutdown";
const check = optionsOf(what, checks);

/** @throws InvalidOptionError that names the option */
export function resolveShutdown(options: ShutdownOptions): ResolvedShutdown {
  check(options);
  const { recipes = [], servers = [], signals = ["SIGTERM", "SIGINT"], drainMs = 2_000, timeoutMs = 25_000 } = options;
  checkItems("recipes", recipes, "must have close()", (it) => typeof it?.close === "function");
  checkItems("servers", servers, "must have close()", (it) => typeof it?.close === "function");
  checkItems("signals", signals, "must be a signal such as SIGTERM", (it) => it in constants.signals);
  const lost = signals.find((signal) => unheardSignals.has(signal));
  if (lost) throw new InvalidOptionError(what, "signals", `must not have ${lost}: no process can listen to it`);
  if (drainMs >= timeoutMs) {
    const problem = `must be more than drainMs, which is ${inMs(drainMs)}, not ${shown(timeoutMs)}`;
    throw new InvalidOptionError(what, "timeoutMs", problem);
  }
  return { recipes: [...recipes], servers: [...servers], signals: new Set(signals), drainMs, timeoutMs };
}

function checkItems<Item>(
  option: keyof ShutdownOptions,
  items: readonly Item[],
  problem: string,
  holds: (item: Item) => boolean,
): void {
  const wrong = items.findIndex((item) => !holds(item));
  if (wrong < 0) return;
  throw new InvalidOptionError(what, `${option}.${wrong}`, `${problem}, not ${shown(items[wrong])}`);
}
