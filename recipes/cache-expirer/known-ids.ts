import { ListenerFailedError } from "../../src/index.ts";
import { abortable, asError, inMs, type Runtime } from "../../src/internal/index.ts";
import { retry } from "../retries/index.ts";
import { type CacheExpirerOptions, checkCacheId } from "./options.ts";

export interface KnownIdsParts {
  readonly known: NonNullable<CacheExpirerOptions["known"]>;
  readonly runtime: Runtime;
  onWarning(error: Error): void;
}

/** Asks which ids there are here, again after a failure; leaves out what is no id. None when `signal` aborts. */
export async function askForKnown(
  { known, runtime, onWarning }: KnownIdsParts,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const isId = (id: unknown) => {
    try {
      checkCacheId("known()", id);
      return true;
    } catch (error) {
      onWarning(asError(error));
      return false;
    }
  };
  try {
    return await retry(async () => [...(await abortable((async () => known())(), signal))].filter(isId), {
      runtime,
      signal,
      backoff: { initialMs: 200, maxMs: 30_000 },
      onWarning: (cause, againInMs) => {
        const again = `it is called again in ${inMs(againInMs)}`;
        onWarning(new ListenerFailedError(`known() failed: ${cause.message}; ${again}`, { cause }));
      },
    });
  } catch (error) {
    if (signal.aborted) return [];
    throw error;
  }
}
