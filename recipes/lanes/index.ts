// Tasks of ids: those of one id in order, those of different ids in parallel, each until it succeeds.
export { type Hold, IdLanes } from "./id-lanes.ts";
