export { DesiredRegistration } from "./desired-registration.ts";
export { closeLimitMs } from "./leave.ts";
export { type KeyState, nextStep } from "./next-step.ts";
export type { ServiceRegisterOptions } from "./options.ts";
export type { RegisterConflict, RegisterStatus, ServiceRegisterEvents } from "./register-events.ts";
export { RegistrationLife } from "./registration-life.ts";
export {
  type CloseOptions,
  checkAddress,
  type ResolvedRegistration,
  resolveClose,
  resolveRegistration,
  resolveUpdate,
  resolveWait,
  type ServiceUpdate,
} from "./registration-options.ts";
export { ServiceRegister } from "./service-register.ts";
