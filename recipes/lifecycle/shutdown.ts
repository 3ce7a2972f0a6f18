import { constants } from "node:os";
import { asError, inMs, setImmediate, systemClock, within } from "../../src/internal/index.ts";
import { closeInOrder } from "./close-in-order.ts";
import { followConnections } from "./finish-server.ts";
import { markLeaving } from "./leaving.ts";
import { type ResolvedShutdown, resolveShutdown, type ShutdownOptions } from "./shutdown-options.ts";
import { stagesOf } from "./stages.ts";

/** A shutdown that waits for its signal. */
export interface Shutdown {
  /** Begins now, as a signal does. The process ends, so it never resolves. Calling it again changes nothing. */
  begin(): Promise<never>;
  /** Listens to the signals no more. One that has begun goes on. */
  cancel(): void;
}

/**
 * Ends the process in the right order when a signal comes, so that no request is refused that a reader of the list
 * sends:
 *
 * registrations drain, and are deleted ▶ servers accept no more, and finish their requests ▶ elections, locks and
 * queues
 *   are left ▶ lists and mirrors end ▶ clients close ▶ the process ends
 *
 * ```ts
 * shutdown({ recipes: [server, services, election], servers: [httpServer] });
 * ```
 *
 * The exit code is 0 (or `process.exitCode`) when all was done; 1 when something failed or the time was over, with a
 * warning of the process that says what; 128 and the signal's number when a second signal came, which ends the process
 * at once. `readiness()` says no as soon as it begins.
 *
 * Guaranteed: the process ends within `timeoutMs`, also when etcd is away or a request hangs.
 *
 * Not guaranteed: that readers see within `drainMs` that the process leaves: one that is cut off from etcd keeps its
 * list.
 *
 * @throws InvalidOptionError that names the option
 */
export function shutdown(options: ShutdownOptions = {}): Shutdown {
  const resolved = resolveShutdown(options);
  const { servers, signals } = resolved;
  for (const server of servers) followConnections(server);
  let begun: Promise<never> | undefined;
  const begin = () => {
    begun ??= endProcess(resolved);
    return begun;
  };
  const onSignal = (signal: NodeJS.Signals) => {
    if (begun) process.exit(128 + constants.signals[signal]);
    void begin();
  };
  for (const signal of signals) process.on(signal, onSignal);
  return {
    begin,
    cancel: () => {
      for (const signal of signals) process.off(signal, onSignal);
    },
  };
}

async function endProcess(parts: ResolvedShutdown): Promise<never> {
  const { recipes, timeoutMs } = parts;
  const failures: string[] = [];
  for (const recipe of recipes) markLeaving(recipe);
  const failed = (failure: string) => void failures.push(failure);
  const outOfTime = () => new Error(`it took longer than ${inMs(timeoutMs)}`);
  const closing = closeInOrder(parts, stagesOf(recipes), systemClock, failed);
  await within(systemClock, closing, timeoutMs, outOfTime).catch((error) => failed(asError(error).message));
  if (failures.length === 0) process.exit();
  process.emitWarning(`shutdown: ${failures.join("; ")}`, { type: "EtcdWarning", code: "ETCD_SHUTDOWN" });
  // A warning is printed in the next tick.
  await new Promise((resolve) => setImmediate(() => resolve(undefined)));
  process.exit(1);
}
