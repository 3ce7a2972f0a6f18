import type { Protocol, StreamEndpoint } from "../connection/index.ts";
import type { OptionCheck } from "../errors/check-options.ts";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { shownUrl } from "../errors/shown.ts";
import type { CallOptions } from "../model/call-options.ts";

/** Of calls about one member. */
export interface MemberCallOptions extends CallOptions {
  /**
   * One of `client.endpoints`: the member there is asked, and no other. Of several members behind it, the one that the
   * client is connected to. `syncEndpoints()` makes the members of the cluster the endpoints.
   *
   * @default the one that calls go to at the moment
   */
  endpoint?: string | undefined;
}

export const endpointCheck: OptionCheck = {
  allowed: "one of this client's endpoints",
  holds: (value) => typeof value === "string",
};

/** @throws InvalidOptionError for what is not among the client's endpoints */
export function endpointOf(protocol: Protocol, what: string, url: string | undefined): StreamEndpoint | undefined {
  if (url === undefined) return undefined;
  const found = protocol.endpoints.find((endpoint) => endpoint.url === url);
  if (found) return found;
  const known = protocol.endpoints.map((endpoint) => endpoint.url).join(", ");
  throw new InvalidOptionError(what, "endpoint", `must be one of ${known}, not ${shownUrl(url)}`);
}
