export type { GroupMember, GroupMemberEvents } from "./group-member.ts";
export type { GroupMemberOptions, RegistrationGroupOptions } from "./options.ts";
export { RegistrationGroup, type RegistrationGroupEvents } from "./registration-group.ts";
