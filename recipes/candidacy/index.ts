export { Candidacy } from "./candidacy.ts";
export { Contest, type ContestParts } from "./contest.ts";
export { FencedOutError } from "./fenced-out-error.ts";
export { Held } from "./held.ts";
