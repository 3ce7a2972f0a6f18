export { RunningWatch } from "./storage-watch.ts";
