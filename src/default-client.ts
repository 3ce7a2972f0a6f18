import { EtcdClient } from "./client.ts";
import type { EtcdClientOptions } from "./client-options.ts";

let shared: EtcdClient | undefined;

/**
 * The client that everything uses that is given none: made from the environment when it is first asked for, it lives as
 * long as the process. After it was closed, the next call makes a new one.
 */
export function defaultClient(): EtcdClient {
  if (!shared || shared.closed) shared = new EtcdClient();
  return shared;
}

/**
 * Sets the client that `defaultClient()` returns from now on. What uses the one before goes on with it; closing that
 * one is up to the caller.
 *
 * @throws InvalidOptionError
 */
export function setDefaultClient(optionsOrClient: EtcdClientOptions | EtcdClient): void {
  shared = optionsOrClient instanceof EtcdClient ? optionsOrClient : new EtcdClient(optionsOrClient);
}
