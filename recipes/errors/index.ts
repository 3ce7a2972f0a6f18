// The errors of recipes that need nothing of theirs, each with its code.
export { InvalidValueError } from "../../src/index.ts";
export {
  CancelledError,
  FencedOutError,
  JobLostError,
  MassRemovalError,
  NotRequestedError,
  RegistrationLostError,
} from "./recipe-errors.ts";
