import type { CommonEvents } from "../recipe/index.ts";
import type { RegisterConflict } from "../registration/index.ts";
import type { DrainRequest } from "../registration-format/index.ts";
import type { GroupMember } from "./group-member.ts";

export interface RegistrationGroupEvents extends CommonEvents {
  /** The key of an instance is in etcd. Again after each loss. */
  registered: [member: GroupMember, revision: number];
  /** The key of an instance is gone, or can no longer be proved to be there. */
  lost: [member: GroupMember, error: Error];
  /** Another owner has the key of an instance, which waits until it is free. Once for each owner. */
  conflict: [member: GroupMember, conflict: RegisterConflict];
  /** An operator asked that an instance drains, or no longer does, and it follows. */
  drain: [member: GroupMember, request: DrainRequest];
  /** An instance is out of the group by what no retry can change; the others go on. */
  memberFailed: [member: GroupMember, error: Error];
  closed: [];
}
