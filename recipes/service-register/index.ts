export type { CloseOptions, ServiceRegisterOptions, ServiceUpdate } from "./options.ts";
export { RegistrationLostError } from "./registration-lost-error.ts";
export {
  type RegisterConflict,
  type RegisterStatus,
  ServiceRegister,
  type ServiceRegisterEvents,
} from "./service-register.ts";
