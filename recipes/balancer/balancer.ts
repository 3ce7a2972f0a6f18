/** What a caller may say about the request that a server is wanted for. */
export interface PickRequest {
  /** Requests with the same key belong together; only strategies that look at keys use it. */
  readonly key?: string | undefined;
}

/**
 * Chooses one of several servers. One balancer serves one list; what it remembers outlives changes of the list, after which
 * another server may stand at a position, or none.
 */
export interface Balancer<Server> {
  /** @param servers at least one, those that may be chosen; the same array again as long as the list has not changed */
  pick(servers: readonly Server[], request: PickRequest): Server;
}

/** A strategy of the user's own. What it returns must be one of `servers`. */
export type PickFunction<Server> = (servers: readonly Server[], request: PickRequest) => Server;
