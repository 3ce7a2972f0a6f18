export { asError } from "../../src/internal/index.ts";
export {
  checkCallable,
  checkDetachedTtl,
  checkFoundId,
  checkId,
  checkKey,
  checkLength,
  checkName,
  checkText,
  checkTtlSeconds,
  delimitedPrefix,
} from "./checks.ts";
export { DetachedLeases } from "./detached-leases.ts";
export { checkHealth, type Health } from "./health-check.ts";
export { type Hold, IdLanes } from "./id-lanes.ts";
export { insist } from "./insist.ts";
export { MassRemovalError } from "./mass-removal-error.ts";
export { type CommonEvents, Notifier } from "./notifier.ts";
export { PrefixFollower } from "./prefix-follower.ts";
export {
  type RecipeClient,
  type RecipeClientOptions,
  recipeClient,
} from "./recipe-client.ts";
export { requestRoom, revisionRoom } from "./request-room.ts";
export { timed } from "./timed.ts";
export { Wake } from "./wake.ts";
