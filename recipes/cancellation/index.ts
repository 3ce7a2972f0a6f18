export { Cancellation, type CancellationEvents, type CancellationStatus } from "./cancellation.ts";
export { CancelledError } from "./cancelled-error.ts";
export type { CancellationOptions } from "./options.ts";
