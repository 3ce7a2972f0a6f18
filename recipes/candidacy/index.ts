export { Candidacy } from "./candidacy.ts";
export { Contest, type ContestParts } from "./contest.ts";
export { Held } from "./held.ts";
