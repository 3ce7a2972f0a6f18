// What other recipes use of this room, and its users do not see.
export { RunningWatch } from "./storage-watch.ts";
