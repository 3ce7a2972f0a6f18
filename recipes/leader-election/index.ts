export type { LeaderElectionEvents } from "./election-events.ts";
export { LeaderElection } from "./leader-election.ts";
export type { LeaderInfo } from "./leader-info.ts";
export type { LeaderElectionOptions, LeadOptions, ObserveOptions } from "./options.ts";
export type { Term } from "./term.ts";
