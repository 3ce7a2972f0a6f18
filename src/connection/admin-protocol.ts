import type { CallOptions } from "../model/call-options.ts";
import type { KeyRange } from "../model/key-range.ts";
import type {
  AlarmType,
  AuthStatus,
  ClusterAlarm,
  ClusterMember,
  KeyHash,
  RolePermission,
  SnapshotPart,
} from "./codec/messages.ts";
import type { StreamEndpoint } from "./stream-endpoint.ts";

/** A member of which something is asked; undefined: the one that calls go to at the moment. */
type Asked = StreamEndpoint | undefined;

/**
 * What operators ask of etcd, in our words: users and roles, the members, and the care of a member. Names and ids are
 * checked already. Ids of members are lower-case hex. A namespace is no part of it: ranges of roles are ranges of the
 * whole etcd.
 *
 * What may be executed twice without harm is repeated as a read is: `authEnable`, `authDisable`, `userChangePassword`,
 * `userGrantRole`, `roleGrantPermission`, `memberUpdate` and `disarm`. Every other change is sent once.
 */
export interface AdminProtocol {
  authEnable(options?: CallOptions): Promise<void>;
  authDisable(options?: CallOptions): Promise<void>;
  authStatus(options?: CallOptions): Promise<AuthStatus>;

  /** @param password undefined: a user that logs in by the name in its certificate */
  userAdd(name: string, password: string | undefined, options?: CallOptions): Promise<void>;
  /** The roles of a user. */
  userGet(name: string, options?: CallOptions): Promise<readonly string[]>;
  userList(options?: CallOptions): Promise<readonly string[]>;
  userDelete(name: string, options?: CallOptions): Promise<void>;
  userChangePassword(name: string, password: string, options?: CallOptions): Promise<void>;
  userGrantRole(name: string, role: string, options?: CallOptions): Promise<void>;
  userRevokeRole(name: string, role: string, options?: CallOptions): Promise<void>;

  roleAdd(role: string, options?: CallOptions): Promise<void>;
  roleGet(role: string, options?: CallOptions): Promise<readonly RolePermission[]>;
  roleList(options?: CallOptions): Promise<readonly string[]>;
  roleDelete(role: string, options?: CallOptions): Promise<void>;
  /** Takes the place of the permission for the very same range. */
  roleGrantPermission(role: string, permission: RolePermission, options?: CallOptions): Promise<void>;
  roleRevokePermission(role: string, range: KeyRange, options?: CallOptions): Promise<void>;

  memberList(serializable: boolean, options?: CallOptions): Promise<readonly ClusterMember[]>;
  memberAdd(
    peerUrls: readonly string[],
    isLearner: boolean,
    options?: CallOptions,
  ): Promise<{ readonly member: ClusterMember; readonly members: readonly ClusterMember[] }>;
  memberPromote(id: string, options?: CallOptions): Promise<readonly ClusterMember[]>;
  memberUpdate(id: string, peerUrls: readonly string[], options?: CallOptions): Promise<readonly ClusterMember[]>;
  memberRemove(id: string, options?: CallOptions): Promise<readonly ClusterMember[]>;

  alarms(options?: CallOptions): Promise<readonly ClusterAlarm[]>;
  disarm(memberId: string, alarm: AlarmType, options?: CallOptions): Promise<void>;
  /**
   * A member may take minutes, and serves nothing else meanwhile. Without `timeoutMs` it has as long as it takes, as
   * have the next two.
   */
  defragment(endpoint: Asked, options?: CallOptions): Promise<void>;
  hashKv(endpoint: Asked, revision: number | undefined, options?: CallOptions): Promise<KeyHash>;
  /**
   * Resolves when the last part is taken. An answer that breaks off ends it.
   *
   * @param sink takes the parts in their order, one at a time; it must not reject
   */
  snapshot(endpoint: Asked, sink: (part: SnapshotPart) => Promise<void>, options?: CallOptions): Promise<void>;
  /** Only the leader does it. */
  moveLeader(leader: StreamEndpoint, memberId: string, options?: CallOptions): Promise<void>;
  /** @returns the version of the cluster */
  downgrade(action: "validate" | "enable" | "cancel", version: string, options?: CallOptions): Promise<string>;
}
