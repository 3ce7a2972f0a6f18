import { promises as dns, type LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";

/** Resolves a name as Node does, and begins with the address whose turn it is. Node tries the others after it. */
export function lookupInTurn(turn: number): LookupFunction {
  return (hostname, options, callback) => {
    const found = (addresses: LookupAddress[]) => {
      const first = turn % addresses.length;
      const inTurn = [...addresses.slice(first), ...addresses.slice(0, first)];
      if (options.all) callback(null, inTurn);
      else callback(null, inTurn[0]?.address ?? "", inTurn[0]?.family);
    };
    // What the callback throws is the socket's, and no failure of the lookup.
    dns.lookup(hostname, { ...options, all: true }).then(found, (error: Error) => callback(error, []));
  };
}
