import type { EtcdErrorDetails } from "../errors/etcd-error.ts";
import { EtcdTimeoutError } from "../errors/timeout-error.ts";

type Why = () => Error | undefined;

const ofClients = new WeakMap<object, Why>();

/** Called once, when a client is made. @param why says why no endpoint can be reached, while that is so */
export function setWhyUnreached(client: object, why: Why): void {
  ofClients.set(client, why);
}

/** Why a client reaches no etcd, with each endpoint; undefined while it does, and before it has tried. */
export function whyUnreached(client: object): Error | undefined {
  return ofClients.get(client)?.();
}

/**
 * What a wait for something in etcd ends with when its time is over. If etcd cannot be reached, that is why: its cause,
 * and in its message.
 *
 * @param what happened, in a sentence without an end
 */
export function waitedInVain(client: object, what: string, details: EtcdErrorDetails = {}): EtcdTimeoutError {
  const cause = whyUnreached(client);
  return new EtcdTimeoutError(cause ? `${what}; ${cause.message}` : what, { ...details, cause });
}
