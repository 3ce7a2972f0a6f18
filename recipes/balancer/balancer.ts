/** What a caller may say about the request that a server is wanted for. */
export interface PickRequest {
  /** Requests with the same key belong together; only strategies that look at keys use it. */
  readonly key?: string | undefined;
}

/** How a call to a server went. */
export interface Outcome {
  /** From its start to its end, in milliseconds; undefined when the caller did not measure it. */
  readonly latencyMs?: number | undefined;
  /** What it failed with; undefined: it did not fail. */
  readonly error?: unknown;
}

/** What changed in an array of servers, so that a strategy need not look at all of it. */
export interface ServersChange<Server> {
  /** The array that changed in place, and already holds what it holds now. */
  readonly servers: readonly Server[];
  /** Where another object stands than before. Those by which the array grew or shrank may be left out. */
  readonly positions: Iterable<number>;
}

/**
 * Chooses one of several servers. One balancer serves one list; what it remembers outlives changes of the list, after
 * which another server may stand at a position, or none.
 *
 * All but `pick()` is optional: a strategy implements what it wants to know.
 */
export interface Balancer<Server> {
  /**
   * @param servers at least one: those that may be chosen, in any order. The same array may hold others later, see
   *   `changed()`; another array is looked at anew. Not to be kept or changed
   */
  pick(servers: readonly Server[], request: PickRequest): Server;
  /**
   * The array that it picks from holds other servers now, or others in their places.
   *
   * @param change undefined: any array may hold any others. Positions are read at once and not kept
   */
  changed?(change?: ServersChange<Server>): void;
  /** A call to this server began; `ended()` follows, once. */
  started?(server: Server): void;
  ended?(server: Server): void;
  /** What came of a call to this server, of one that `started()` announced or of another. */
  report?(server: Server, outcome: Outcome): void;
}

/**
 * A strategy of the user's own, `(servers, request) => server`. What it returns must be one of `servers`: a frozen
 * array, the same one again as long as the list has not changed. (Written as a method, so that the list of some kind of
 * server can be given where one of any kind is wanted.)
 */
export type PickFunction<Server> = { pick(servers: readonly Server[], request: PickRequest): Server }["pick"];
