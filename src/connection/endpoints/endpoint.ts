import type { EndpointChannel } from "./endpoint-channel.ts";

/** Calls and streams have a connection each: a bulk read cannot starve a watch or a renewal (HARDSHIPS 20). */
export type Lane = "calls" | "streams";

/** One endpoint as calls and streams see it. */
export interface Endpoint {
  readonly url: string;
  /**
   * Until then (monotonic) others are tried before this one. It is still tried when they fail: nothing is ever refused
   * here.
   */
  readonly avoidUntilMs: number;
  /**
   * A channel that is connected.
   *
   * @throws UnavailableError when there is no connection within `waitMs`
   */
  connect(lane: Lane, waitMs: number): Promise<EndpointChannel>;
  /** The lane's channel, if a call would leave on it at once and nothing is known against it. */
  open(lane: Lane): EndpointChannel | undefined;
  /** The lane's next call or stream gets a new connection. What is under way on the old one may still finish. */
  drop(lane: Lane, channel?: EndpointChannel): void;
  /**
   * The member at the other end of this connection answered, and did not serve. If it goes on like that, the next call
   * or stream gets a new connection, which may lead to another member; so does the other lane, unless it has worked
   * meanwhile.
   */
  memberFailed(lane: Lane, channel: EndpointChannel): void;
  /** Many calls that fail together count once. */
  failed(): void;
  succeeded(lane: Lane): void;
  /** It is no endpoint any more: calls on it may finish, streams go elsewhere. */
  retire(): void;
  close(): void;
}
