import type { ClusterMember } from "../connection/index.ts";
import { flag, optionsOf } from "../errors/check-options.ts";
import { showAs } from "../internal/show-as.ts";
import { type CallOptions, callChecks, callOptionsOf } from "../model/call-options.ts";
import { AdminCalls, type AdminParts } from "./admin-calls.ts";
import { checkMemberId, toPeerUrls } from "./admin-checks.ts";

export interface MembersOptions extends CallOptions {
  /**
   * Ask a member for what it knows, which may be old, and which it says also without a leader. An etcd before 3.5 knows
   * no other way.
   *
   * @default false
   */
  serializable?: boolean | undefined;
}

/** A member that was added, and all there are now. */
export interface AddedMember {
  readonly member: ClusterMember;
  readonly members: readonly ClusterMember[];
}

const checkOf = {
  members: optionsOf("cluster.members", { ...callChecks, serializable: flag }),
  add: callOptionsOf("cluster.add"),
  addLearner: callOptionsOf("cluster.addLearner"),
  promote: callOptionsOf("cluster.promote"),
  update: callOptionsOf("cluster.update"),
  remove: callOptionsOf("cluster.remove"),
};

/**
 * The members of the cluster. While authentication is on, only root may change them. Etcd refuses a change with
 * `RequestRefusedError` that would leave too few members started for a majority, and one that is made while members are
 * not connected waits for that within its time.
 *
 * A change that fails with `outcomeUnknown: true`, or is aborted, may have been made, or be made later: `members()`
 * shows it.
 */
export class Cluster {
  static {
    showAs(Cluster, "Cluster", (it) => ({ endpoints: it.#calls.endpoints }));
  }

  readonly #calls: AdminCalls;

  /** @internal */
  constructor(parts: AdminParts) {
    this.#calls = new AdminCalls(parts);
  }

  /** All members, learners and those that have not started among them. */
  async members(options?: MembersOptions): Promise<readonly ClusterMember[]> {
    checkOf.members(options);
    return this.#calls.run("cluster.members", undefined, options, (admin) =>
      admin.memberList(options?.serializable ?? false, options),
    );
  }

  /**
   * Adds a member that votes, and is then to be started. Until it is there, the cluster counts it as one that is
   * missing: `addLearner()`, and `promote()` once it has caught up, is the safer way.
   *
   * @param peerUrls where the other members will reach it: `http://10.0.0.4:2380`, or several
   * @throws ConflictError when a member has such a URL
   */
  async add(peerUrls: string | readonly string[], options?: CallOptions): Promise<AddedMember> {
    return this.#add("cluster.add", peerUrls, false, options);
  }

  /**
   * Adds a learner, and is then to be started: it follows and does not vote, so that it cannot hold the cluster up.
   *
   * @param peerUrls where the other members will reach it: `http://10.0.0.4:2380`, or several
   * @throws ConflictError when a member has such a URL; RequestRefusedError for more learners than etcd takes (one,
   *   unless it was started with another `--max-learners`)
   */
  async addLearner(peerUrls: string | readonly string[], options?: CallOptions): Promise<AddedMember> {
    return this.#add("cluster.addLearner", peerUrls, true, options);
  }

  /**
   * Makes a learner a member that votes.
   *
   * @returns all members
   * @throws RequestRefusedError: with `retryable: true` as long as the learner has not caught up with the leader. While
   *   authentication is on, etcd before 3.5.28 and 3.6.6 can do it by the leader only
   */
  async promote(id: string, options?: CallOptions): Promise<readonly ClusterMember[]> {
    checkMemberId("cluster.promote", "id", id);
    checkOf.promote(options);
    return this.#calls.run("cluster.promote", id, options, (admin) => admin.memberPromote(id, options));
  }

  /**
   * Says where a member is reached by the others from now on. It is repeated on other endpoints within its time.
   *
   * @returns all members
   * @throws RequestRefusedError when there is no such member; ConflictError when another one has such a URL
   */
  async update(
    id: string,
    peerUrls: string | readonly string[],
    options?: CallOptions,
  ): Promise<readonly ClusterMember[]> {
    checkMemberId("cluster.update", "id", id);
    const urls = toPeerUrls("cluster.update", peerUrls);
    checkOf.update(options);
    return this.#calls.run("cluster.update", id, options, (admin) => admin.memberUpdate(id, urls, options));
  }

  /**
   * Removes a member for good: its etcd ends, and what it has on disk is of no more use.
   *
   * @returns all members that are left
   * @throws RequestRefusedError when there is no such member
   */
  async remove(id: string, options?: CallOptions): Promise<readonly ClusterMember[]> {
    checkMemberId("cluster.remove", "id", id);
    checkOf.remove(options);
    return this.#calls.run("cluster.remove", id, options, (admin) => admin.memberRemove(id, options));
  }

  async #add(
    call: "cluster.add" | "cluster.addLearner",
    peerUrls: string | readonly string[],
    isLearner: boolean,
    options: CallOptions | undefined,
  ): Promise<AddedMember> {
    const urls = toPeerUrls(call, peerUrls);
    checkOf[isLearner ? "addLearner" : "add"](options);
    return this.#calls.run(call, urls.join(","), options, (admin) => admin.memberAdd(urls, isLearner, options));
  }
}
