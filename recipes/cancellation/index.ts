export { Cancellation, type CancellationEvents, type CancellationStatus } from "./cancellation.ts";
export { CancelledError } from "./cancelled-error.ts";
export { insist } from "./insist.ts";
export { type CancellationOptions, checkText, checkTextId, resolveCall } from "./options.ts";
export { PrefixFollower } from "./prefix-follower.ts";
