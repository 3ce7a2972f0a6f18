import { ListenerFailedError } from "../../src/index.ts";
import { abortable, asError, Backoff, inMs, type Runtime, sleep } from "../../src/internal/index.ts";
import { type CacheExpirerOptions, checkCacheId } from "./options.ts";

export interface KnownIdsParts {
  readonly known: NonNullable<CacheExpirerOptions["known"]>;
  readonly runtime: Runtime;
  warn(error: Error): void;
}

/** Asks which ids there are here, again after a failure; leaves out what is no id. None when `signal` aborts. */
export async function askForKnown(
  { known, runtime, warn }: KnownIdsParts,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const isId = (id: unknown) => {
    try {
      checkCacheId("known()", id);
      return true;
    } catch (error) {
      warn(asError(error));
      return false;
    }
  };
  const backoff = new Backoff(runtime, { initialMs: 200, maxMs: 30_000 });
  while (!signal.aborted) {
    try {
      return [...(await abortable((async () => known())(), signal))].filter(isId);
    } catch (cause) {
      if (signal.aborted) break;
      const againInMs = backoff.nextMs();
      const again = `it is called again in ${inMs(againInMs)}`;
      warn(new ListenerFailedError(`known() failed: ${asError(cause).message}; ${again}`, { cause }));
      await sleep(runtime.clock, againInMs, signal).catch(() => {});
    }
  }
  return [];
}
