/**
 * The URL under which a member of a cluster of several is known to its peers.
 *
 * 192.0.2.0/24 is reserved for documentation and reaches no host. That is the point: Go's HTTP client never sends
 * loopback addresses to a proxy, but it sends these, so every request between peers passes the sender's own proxy in
 * the keeper, which knows sender and receiver and can refuse either.
 */
export function peerUrl(member: number): string {
  return `http://192.0.2.${member + 1}:2380`;
}
