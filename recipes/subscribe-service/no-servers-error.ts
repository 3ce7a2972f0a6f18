import { EtcdError } from "../../src/index.ts";
import type { SubscribeStatus } from "./subscribe-events.ts";

/**
 * `not-ready`: the first list is not there yet. `empty`: no service is registered. `filtered`: some are, none of which
 * the view's filter lets through. `draining`: all are about to leave.
 */
export type NoServersState = "not-ready" | "empty" | "filtered" | "draining";

/** There is no server to choose; `state` says why. */
export class NoServersError extends EtcdError {
  override readonly name = "NoServersError";
  readonly code = "ETCD_NO_SERVERS";
  readonly state: NoServersState;

  constructor(message: string, state: NoServersState, cause?: Error) {
    super(cause ? `${message}; ${cause.message}` : message, { retryable: true, cause });
    this.state = state;
  }
}

export interface ListWithoutServers {
  readonly prefix: string;
  readonly status: SubscribeStatus;
  readonly listed: boolean;
  readonly size: number;
  /** How many services the list has that this is a part of. */
  readonly whole: number;
}

export function noServers({ prefix, status, listed, size, whole }: ListWithoutServers): NoServersError {
  if (!listed)
    return new NoServersError(`the list under ${prefix} is not there yet (${status}): await ready`, "not-ready");
  if (size > 0) return new NoServersError(`all ${size} services under ${prefix} are draining`, "draining");
  if (whole > 0) {
    return new NoServersError(
      `the filter of the view lets none of the ${whole} services under ${prefix} through`,
      "filtered",
    );
  }
  return new NoServersError(`no service is registered under ${prefix}`, "empty");
}
