export type { AdminParts } from "./admin-calls.ts";
export { Auth } from "./auth.ts";
export { type AddedMember, Cluster, type MembersOptions } from "./cluster.ts";
export { endpointCheck, endpointOf, type MemberCallOptions } from "./endpoint-of.ts";
export {
  type DisarmOptions,
  type EtcdStatus,
  type HashKvOptions,
  Maintenance,
  type SlowCallOptions,
  type SnapshotOptions,
  type StatusOptions,
} from "./maintenance.ts";
export type { AuthRole, PermissionToGrant, Roles } from "./roles.ts";
export type { SavedSnapshot, SnapshotProgress } from "./snapshot-file.ts";
export type { AuthUser, Users } from "./users.ts";
