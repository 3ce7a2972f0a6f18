import type {
  AdminProtocol,
  AuthStatus,
  ClusterAlarm,
  ClusterMember,
  StreamEndpoint,
} from "../../src/connection/index.ts";
import { type CallOptions, RequestRefusedError } from "../../src/index.ts";
import type { MemoryConnection, MemoryEndpoint } from "./memory-connection.ts";
import type { MemoryEtcd } from "./memory-etcd.ts";

/** What operators ask of an etcd that is one member without users, disk and peers. */
export class MemoryAdmin implements AdminProtocol {
  readonly #etcd: MemoryEtcd;
  readonly #connection: MemoryConnection;

  constructor(etcd: MemoryEtcd, connection: MemoryConnection) {
    this.#etcd = etcd;
    this.#connection = connection;
  }

  authStatus(options?: CallOptions): Promise<AuthStatus> {
    return this.#read("Auth.authStatus", options, () => ({ enabled: false, authRevision: 1 }));
  }

  memberList(_serializable: boolean, options?: CallOptions): Promise<readonly ClusterMember[]> {
    const clientUrls = this.#connection.endpoints.map(({ url }) => url);
    const member = { name: "memory", peerUrls: ["http://memory:2380"], clientUrls, isLearner: false };
    return this.#read("Cluster.memberList", options, () => [{ id: this.#etcd.status().memberId, ...member }]);
  }

  alarms(options?: CallOptions): Promise<readonly ClusterAlarm[]> {
    return this.#read("Maintenance.alarm", options, () => []);
  }

  /** There is nothing to do. */
  defragment(endpoint: StreamEndpoint | undefined, options?: CallOptions): Promise<void> {
    return this.#read("Maintenance.defragment", options, () => {}, endpoint);
  }

  readonly authEnable = refusing("Auth.authEnable", "users and roles");
  readonly authDisable = refusing("Auth.authDisable", "users and roles");
  readonly userAdd = refusing("Auth.userAdd", "users and roles");
  readonly userGet = refusing("Auth.userGet", "users and roles");
  readonly userList = refusing("Auth.userList", "users and roles");
  readonly userDelete = refusing("Auth.userDelete", "users and roles");
  readonly userChangePassword = refusing("Auth.userChangePassword", "users and roles");
  readonly userGrantRole = refusing("Auth.userGrantRole", "users and roles");
  readonly userRevokeRole = refusing("Auth.userRevokeRole", "users and roles");
  readonly roleAdd = refusing("Auth.roleAdd", "users and roles");
  readonly roleGet = refusing("Auth.roleGet", "users and roles");
  readonly roleList = refusing("Auth.roleList", "users and roles");
  readonly roleDelete = refusing("Auth.roleDelete", "users and roles");
  readonly roleGrantPermission = refusing("Auth.roleGrantPermission", "users and roles");
  readonly roleRevokePermission = refusing("Auth.roleRevokePermission", "users and roles");
  readonly memberAdd = refusing("Cluster.memberAdd", "a second member");
  readonly memberPromote = refusing("Cluster.memberPromote", "a second member");
  readonly memberUpdate = refusing("Cluster.memberUpdate", "a second member");
  readonly memberRemove = refusing("Cluster.memberRemove", "a second member");
  readonly moveLeader = refusing("Maintenance.moveLeader", "a second member");
  readonly disarm = refusing("Maintenance.alarm", "alarms");
  readonly hashKv = refusing("Maintenance.hashKV", "a database");
  readonly snapshot = refusing("Maintenance.snapshot", "a database");
  readonly downgrade = refusing("Maintenance.downgrade", "another version");

  #read<T>(name: string, options: CallOptions | undefined, execute: () => T, endpoint?: StreamEndpoint): Promise<T> {
    return this.#connection.call({ name, kind: "read", endpoint: endpoint as MemoryEndpoint }, options, execute);
  }
}

/** A call that needs what is not there. */
function refusing(name: string, missing: string): () => Promise<never> {
  return async () => {
    throw new RequestRefusedError(`${name}: not supported by fakeEtcd(), which lacks ${missing}: use startEtcd()`);
  };
}
