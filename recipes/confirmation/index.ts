export { AlreadyDecidedError } from "./already-decided-error.ts";
export { Confirmation, type ConfirmationEvents, type ConfirmationStatus } from "./confirmation.ts";
export type { ConfirmationResult, PendingConfirmation } from "./confirmation-result.ts";
export type { ConfirmationOptions, ConfirmationRequestOptions } from "./options.ts";
