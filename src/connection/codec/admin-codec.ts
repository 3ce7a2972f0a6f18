import type {
  IAlarmMember,
  IHashKVResponse,
  IMember,
  IPermission,
  ISnapshotResponse,
  IStatusResponse,
} from "etcd3/lib/rpc.js";
import { revisionFromDecimal } from "../../model/revision.ts";
import type {
  AlarmType,
  ClusterAlarm,
  ClusterMember,
  KeyHash,
  MemberStatus,
  PermissionType,
  RolePermission,
  SnapshotPart,
} from "./messages.ts";

// Between the messages of etcd3's stubs and ours. What etcd has got since 2020 stands in stub-messages.ts only.

interface StatusOf37 extends IStatusResponse {
  readonly storageVersion?: string;
  readonly dbSizeQuota?: string;
  readonly downgradeInfo?: { readonly enabled: boolean; readonly targetVersion: string } | null;
}

/** What decimal numbers of ours, such as sizes, fit in. */
const numberFrom = revisionFromDecimal;

export function memberIdFromDecimal(id: string): string {
  return BigInt(id).toString(16);
}

export function memberIdToDecimal(id: string): string {
  return BigInt(`0x${id}`).toString();
}

export function memberStatus(response: StatusOf37): MemberStatus {
  const { header, downgradeInfo } = response;
  return {
    clusterId: memberIdFromDecimal(header.cluster_id),
    memberId: memberIdFromDecimal(header.member_id),
    version: response.version,
    leaderId: response.leader === "0" ? undefined : memberIdFromDecimal(response.leader),
    isLearner: response.isLearner,
    revision: revisionFromDecimal(header.revision),
    raftTerm: numberFrom(header.raft_term),
    raftIndex: numberFrom(response.raftIndex),
    raftAppliedIndex: numberFrom(response.raftAppliedIndex),
    dbSizeBytes: numberFrom(response.dbSize),
    dbSizeInUseBytes: numberFrom(response.dbSizeInUse),
    dbSizeQuotaBytes: numberFrom(response.dbSizeQuota ?? "0") || undefined,
    storageVersion: response.storageVersion || undefined,
    downgradeTo: downgradeInfo?.enabled ? downgradeInfo.targetVersion : undefined,
    errors: response.errors,
  };
}

export function clusterMember({ ID, name, peerURLs, clientURLs, isLearner }: IMember): ClusterMember {
  return { id: memberIdFromDecimal(ID), name, peerUrls: peerURLs, clientUrls: clientURLs, isLearner };
}

const alarmNames = { nospace: "Nospace", corrupt: "Corrupt" } as const;

export function alarmToName(alarm: AlarmType): "Nospace" | "Corrupt" {
  return alarmNames[alarm];
}

/** Without those of kinds that are newer than this table. */
export function clusterAlarms(alarms: readonly IAlarmMember[]): ClusterAlarm[] {
  return alarms.flatMap(({ memberID, alarm }) => {
    const known = (Object.keys(alarmNames) as AlarmType[]).find((name) => alarmNames[name] === alarm);
    return known ? [{ memberId: memberIdFromDecimal(memberID), alarm: known }] : [];
  });
}

export function keyHash(response: IHashKVResponse & { readonly hash_revision?: string }): KeyHash {
  return {
    memberId: memberIdFromDecimal(response.header.member_id),
    hash: Number(response.hash),
    compactRevision: revisionFromDecimal(response.compact_revision),
    hashRevision: revisionFromDecimal(response.hash_revision ?? "0") || undefined,
    revision: revisionFromDecimal(response.header.revision),
  };
}

export function snapshotPart(response: ISnapshotResponse & { readonly version?: string }): SnapshotPart {
  return {
    bytes: response.blob,
    remainingBytes: numberFrom(response.remaining_bytes),
    version: response.version || undefined,
  };
}

const permissionNames = { read: "Read", write: "Write", readwrite: "Readwrite" } as const;

export function permissionToMessage({ type, range }: RolePermission): IPermission {
  const { key, range_end } = rangeToMessage(range);
  return { permType: permissionNames[type], key, range_end };
}

export function rangeToMessage({ start, end }: RolePermission["range"]) {
  return { key: Buffer.from(start), range_end: Buffer.from(end ?? []) };
}

export function rolePermission({ permType, key, range_end }: IPermission): RolePermission {
  const types = Object.keys(permissionNames) as PermissionType[];
  const type = types.find((name) => permissionNames[name] === permType);
  if (!type) throw new TypeError(`etcd's protocol has no permission ${String(permType)} here`);
  return { type, range: { start: key, ...(range_end.length > 0 && { end: range_end }) } };
}
