// What other recipes use of this room, and its users do not see.
export { RegisteredMember } from "./registered-member.ts";
