export { Cancellation, type CancellationEvents, type CancellationStatus } from "./cancellation.ts";
export type { CancellationOptions } from "./options.ts";
