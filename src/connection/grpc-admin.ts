import { AuthClient, ClusterClient, type ISnapshotResponse, MaintenanceClient } from "etcd3/lib/rpc.js";
import type { CallOptions } from "../model/call-options.ts";
import type { KeyRange } from "../model/key-range.ts";
import { revisionFromDecimal } from "../model/revision.ts";
import type { AdminProtocol } from "./admin-protocol.ts";
import {
  alarmToName,
  clusterAlarms,
  clusterMember,
  keyHash,
  memberIdToDecimal,
  permissionToMessage,
  rangeToMessage,
  rolePermission,
  snapshotPart,
} from "./codec/admin-codec.ts";
import type { AlarmType, ClusterMember, RolePermission, SnapshotPart } from "./codec/messages.ts";
import { stubCall } from "./codec/wire-call.ts";
import type { Connection } from "./connection.ts";
import type { Endpoint } from "./endpoints/endpoint.ts";
import type { CallKind, RpcOptions } from "./rpc-options.ts";

const downgradeActions = { validate: "Validate", enable: "Enable", cancel: "Cancel" } as const;

/** The calls of operators, by way of etcd3's stubs. */
export class GrpcAdmin implements AdminProtocol {
  readonly #connection: Connection;
  readonly #requestTimeoutMs: number;
  readonly #auth: AuthClient;
  readonly #cluster: ClusterClient;
  readonly #maintenance: MaintenanceClient;

  constructor(connection: Connection, requestTimeoutMs: number) {
    this.#connection = connection;
    this.#requestTimeoutMs = requestTimeoutMs;
    this.#auth = new AuthClient(connection);
    this.#cluster = new ClusterClient(connection);
    this.#maintenance = new MaintenanceClient(connection);
  }

  async authEnable(options?: CallOptions): Promise<void> {
    await this.#auth.authEnable(this.#rpc("idempotent", options));
  }

  async authDisable(options?: CallOptions): Promise<void> {
    await this.#auth.authDisable(this.#rpc("idempotent", options));
  }

  async authStatus(options?: CallOptions) {
    const { enabled, authRevision } = await this.#auth.authStatus(this.#rpc("read", options));
    return { enabled, authRevision: revisionFromDecimal(authRevision) };
  }

  async userAdd(name: string, password: string | undefined, options?: CallOptions): Promise<void> {
    const user = password === undefined ? { name, options: { no_password: true } } : { name, password };
    await this.#auth.userAdd(user, this.#rpc("write", options));
  }

  async userGet(name: string, options?: CallOptions) {
    return (await this.#auth.userGet({ name }, this.#rpc("read", options))).roles;
  }

  async userList(options?: CallOptions) {
    return (await this.#auth.userList(this.#rpc("read", options))).users;
  }

  async userDelete(name: string, options?: CallOptions): Promise<void> {
    await this.#auth.userDelete({ name }, this.#rpc("write", options));
  }

  async userChangePassword(name: string, password: string, options?: CallOptions): Promise<void> {
    await this.#auth.userChangePassword({ name, password }, this.#rpc("idempotent", options));
  }

  async userGrantRole(user: string, role: string, options?: CallOptions): Promise<void> {
    await this.#auth.userGrantRole({ user, role }, this.#rpc("idempotent", options));
  }

  async userRevokeRole(name: string, role: string, options?: CallOptions): Promise<void> {
    await this.#auth.userRevokeRole({ name, role }, this.#rpc("write", options));
  }

  async roleAdd(name: string, options?: CallOptions): Promise<void> {
    await this.#auth.roleAdd({ name }, this.#rpc("write", options));
  }

  async roleGet(role: string, options?: CallOptions) {
    return (await this.#auth.roleGet({ role }, this.#rpc("read", options))).perm.map(rolePermission);
  }

  async roleList(options?: CallOptions) {
    return (await this.#auth.roleList(this.#rpc("read", options))).roles;
  }

  async roleDelete(role: string, options?: CallOptions): Promise<void> {
    await this.#auth.roleDelete({ role }, this.#rpc("write", options));
  }

  async roleGrantPermission(name: string, permission: RolePermission, options?: CallOptions): Promise<void> {
    const perm = permissionToMessage(permission);
    await this.#auth.roleGrantPermission({ name, perm }, this.#rpc("idempotent", options));
  }

  async roleRevokePermission(role: string, range: KeyRange, options?: CallOptions): Promise<void> {
    await this.#auth.roleRevokePermission({ role, ...rangeToMessage(range) }, this.#rpc("write", options));
  }

  async memberList(serializable: boolean, options?: CallOptions) {
    const rpc: RpcOptions = { ...this.#rpc("read", options), ofMember: serializable };
    return membersOf(await this.#cluster.memberList({ linearizable: !serializable }, rpc));
  }

  async memberAdd(peerURLs: readonly string[], isLearner: boolean, options?: CallOptions) {
    const request = { peerURLs: [...peerURLs], isLearner };
    const answer = await this.#cluster.memberAdd(request, this.#rpc("write", options));
    return { member: clusterMember(answer.member), members: membersOf(answer) };
  }

  async memberPromote(id: string, options?: CallOptions) {
    return membersOf(await this.#cluster.memberPromote({ ID: memberIdToDecimal(id) }, this.#rpc("write", options)));
  }

  async memberUpdate(id: string, peerURLs: readonly string[], options?: CallOptions) {
    const request = { ID: memberIdToDecimal(id), peerURLs: [...peerURLs] };
    return membersOf(await this.#cluster.memberUpdate(request, this.#rpc("idempotent", options)));
  }

  async memberRemove(id: string, options?: CallOptions) {
    return membersOf(await this.#cluster.memberRemove({ ID: memberIdToDecimal(id) }, this.#rpc("write", options)));
  }

  async alarms(options?: CallOptions) {
    const { alarms } = await this.#maintenance.alarm({ action: "Get" }, this.#rpc("read", options));
    return clusterAlarms(alarms);
  }

  async disarm(memberId: string, alarm: AlarmType, options?: CallOptions): Promise<void> {
    const request = {
      action: "Deactivate",
      memberID: memberIdToDecimal(memberId),
      alarm: alarmToName(alarm),
    } as const;
    await this.#maintenance.alarm(request, this.#rpc("idempotent", options));
  }

  async defragment(endpoint: Endpoint | undefined, options?: CallOptions): Promise<void> {
    await this.#maintenance.defragment(this.#slow("write", endpoint, options));
  }

  async hashKv(endpoint: Endpoint | undefined, revision: number | undefined, options?: CallOptions) {
    return keyHash(await this.#maintenance.hashKV({ revision: revision ?? 0 }, this.#slow("read", endpoint, options)));
  }

  snapshot(
    endpoint: Endpoint | undefined,
    sink: (part: SnapshotPart) => Promise<void>,
    options?: CallOptions,
  ): Promise<void> {
    const { call, encode } = stubCall<ISnapshotResponse>("Maintenance", "snapshot");
    const parts = { ...call, decode: (bytes: Buffer) => snapshotPart(call.decode(bytes)) };
    return this.#connection.stream(parts, encode({}), this.#slow("read", endpoint, options), sink);
  }

  async moveLeader(leader: Endpoint, memberId: string, options?: CallOptions): Promise<void> {
    const rpc = { ...this.#rpc("write", options), only: leader };
    await this.#maintenance.moveLeader({ targetID: memberIdToDecimal(memberId) }, rpc);
  }

  async downgrade(action: keyof typeof downgradeActions, version: string, options?: CallOptions): Promise<string> {
    const rpc = this.#rpc(action === "validate" ? "read" : "write", options);
    return (await this.#maintenance.downgrade({ action: downgradeActions[action], version }, rpc)).version;
  }

  #rpc(kind: CallKind, options: CallOptions | undefined): RpcOptions {
    return { kind, timeoutMs: options?.timeoutMs ?? this.#requestTimeoutMs, signal: options?.signal };
  }

  #slow(kind: CallKind, only: Endpoint | undefined, options: CallOptions | undefined): RpcOptions {
    const slow = options?.timeoutMs === undefined ? "unbounded" : "bounded";
    return { ...this.#rpc(kind, options), only, slow };
  }
}

function membersOf({ members }: { readonly members: Parameters<typeof clusterMember>[0][] }): ClusterMember[] {
  return members.map(clusterMember);
}
