/** What is said of the connections to an endpoint. Neither may throw. */
export interface ConnectionNotices {
  /** There is one, where there was none. */
  connected(endpoint: string): void;
  /** The last one is over. */
  disconnected(endpoint: string, reason: Error): void;
}
