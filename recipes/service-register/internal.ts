// What other recipes use of this room, and its users do not see.
export { DesiredRegistration } from "./desired-registration.ts";
export { closeLimitMs } from "./leave.ts";
export { type KeyState, nextStep } from "./next-step.ts";
export { RegistrationLife } from "./registration-life.ts";
export {
  checkAddress,
  type ResolvedRegistration,
  resolveClose,
  resolveRegistration,
  resolveUpdate,
  resolveWait,
} from "./registration-options.ts";
