export type { RegistrationGroupEvents } from "./group-events.ts";
export type { GroupMember, GroupMemberEvents } from "./group-member.ts";
export type { GroupMemberOptions, RegistrationGroupOptions } from "./options.ts";
export { RegistrationGroup } from "./registration-group.ts";
