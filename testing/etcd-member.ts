/**
 * One member of an {@link EtcdCluster}: an etcd process, its data and its links. Its methods break it and restore it.
 *
 * They resolve when the effect is there: a killed process is gone, a restarted one serves.
 */
export interface EtcdMember {
  /** Its place in `cluster.members`, from 0. */
  readonly index: number;
  /** "m1" for index 0, and so on: the name that etcd knows. */
  readonly name: string;
  /** Where clients reach it, "http://127.0.0.1:<port>", or https under TLS; the same for the life of the cluster. */
  readonly endpoint: string;
  /** The etcd process; undefined while there is none. */
  readonly pid: number | undefined;
  /** "stopped" also when the process ended by itself. */
  readonly state: "running" | "paused" | "stopped";
  /** Whether it is cut from its peers. */
  readonly isolated: boolean;

  /** Ends it by SIGKILL. Its data stays. Nothing happens when it is stopped already. */
  kill(): Promise<void>;

  /** Ends it by SIGTERM, the clean way; by SIGKILL when that took 15 s. Its data stays. */
  stop(): Promise<void>;

  /** Freezes it by SIGSTOP: it keeps its connections and accepts new ones, and answers nothing once this resolves. */
  pause(): Promise<void>;

  /** Lets a paused one go on, by SIGCONT. */
  resume(): Promise<void>;

  /**
   * Starts it with its data, on its ports; a running or paused one is stopped first. Resolves when it serves, or, if
   * too few members run and reach each other for a majority, as soon as its process runs.
   *
   * @throws EtcdStartError when it ends or does not serve within the cluster's `startTimeoutMs`
   */
  restart(): Promise<void>;

  /**
   * Cuts it from its peers, in both directions, until {@link heal}; clients still reach it. Its connections break and
   * new ones are refused. A leader notices after an election time-out.
   *
   * @throws Error in a cluster of one
   */
  isolate(): Promise<void>;

  /** Ends {@link isolate}. Does not wait until the members have found each other again. */
  heal(): Promise<void>;

  /**
   * Replaces it by a new member with the same name, endpoint and peer URL and another id: removed from the cluster,
   * data wiped, added, started. Also for one whose data is lost. Resolves when it serves.
   *
   * @throws EtcdStartError when the new one does not serve within the cluster's `startTimeoutMs`
   */
  replace(): Promise<void>;
}
