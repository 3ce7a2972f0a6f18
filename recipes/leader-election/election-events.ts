import type { CommonEvents } from "../recipe/index.ts";
import type { LeaderInfo } from "./leader-info.ts";
import type { Term } from "./term.ts";

export interface LeaderElectionEvents extends CommonEvents {
  /** This candidate leads, from now until `term.signal` aborts. */
  elected: [term: Term];
  /** A term ended against its will: the lease or the key is gone, or cannot be proved to be there. */
  lost: [error: Error];
  /** A term ended otherwise, and its key is gone, or left to its lease if etcd could not be asked. */
  resigned: [];
  /**
   * Who leads now; undefined: there is none. First as it is when the first listener comes. Followed while it
   * listens.
   */
  leader: [leader: LeaderInfo | undefined];
  /** The work goes on although its term is over and its key is gone or about to go. Once for each term. */
  overdue: [term: Term];
}
