// The errors of recipes that need nothing of theirs, each with its code.
export {
  CancelledError,
  FencedOutError,
  InvalidValueError,
  JobLostError,
  MassRemovalError,
  NotRequestedError,
  RegistrationLostError,
} from "./recipe-errors.ts";
