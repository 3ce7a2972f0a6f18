/** So many servers in a row may be missing before the two arrays are no longer read side by side. */
const MOST_MISSING = 4;

/**
 * For each of `servers` its position in an earlier array, or −1. It compares objects at about the same position only, which is
 * much cheaper than to look all of them up, and finds nearly all when a few were replaced, put at the end, moved, or left out.
 */
export function matchServers<Server>(servers: readonly Server[], earlier: readonly Server[]): Int32Array {
  const positions = new Int32Array(servers.length);
  let from = 0;
  for (let at = 0; at < servers.length; at++) {
    const server = servers[at];
    if (from < earlier.length && earlier[from] === server) {
      positions[at] = from++;
      continue;
    }
    let found = -1;
    for (let skip = 1; skip <= MOST_MISSING && from + skip < earlier.length; skip++) {
      if (earlier[from + skip] !== server) continue;
      found = from + skip;
      break;
    }
    positions[at] = found;
    from = found < 0 ? from + 1 : found + 1;
  }
  return positions;
}
