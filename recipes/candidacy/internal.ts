// What other recipes use of this room, and its users do not see.
export { Candidacy } from "./candidacy.ts";
export { CandidacyLine, type Standing } from "./candidacy-line.ts";
export { Held } from "./held.ts";
